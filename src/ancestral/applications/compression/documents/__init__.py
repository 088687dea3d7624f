"""Files and arrays taken apart into what a model codes and what it knows nothing of."""

from ancestral.applications.compression.documents.arrays import (
    array_document,
    restore_array,
    restored_array,
)
from ancestral.applications.compression.documents.document import Document, Form, Reading
from ancestral.applications.compression.documents.sounds import restore_sound, sound_document
from ancestral.applications.compression.documents.tables import restore_table, table_document
from ancestral.applications.compression.documents.texts import (
    restore_lines,
    restore_text,
    text_document,
)

__all__ = [
    "FORMS",
    "Document",
    "Form",
    "Reading",
    "array_document",
    "restored_array",
    "sound_document",
    "table_document",
    "text_document",
]

FORMS = {
    "array": Form(restore_array, (".npy", ".npz")),
    "table": Form(restore_table, (".csv", ".tsv", ".txt")),
    "text": Form(restore_text, (".txt",)),
    "lines": Form(restore_lines, (".txt",)),
    "sound": Form(restore_sound, (".wav", ".zip")),
}
"""How each form of document is put together again."""
