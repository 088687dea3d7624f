"""The look of the report's page: light and dark, phone and desk, screen and paper."""

from __future__ import annotations

import html

__all__ = ["document"]

# Figures keep a light ground in the dark: their colours were chosen, and tested, on white.
_STYLE = """
:root { color-scheme: light dark; --ink: #22272e; --soft: #5b6470; --ground: #fbfbfa;
  --card: #ffffff; --line: #dfe3e8; --accent: #0060a0; --warn: #8a4b00; --warn-ground: #fff4e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a2abb6;
  --ground: #15181c; --card: #1e2328; --line: #353c44; --accent: #6db9f0; --warn: #ffca7a;
  --warn-ground: #3a2b12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.2rem 1rem 4rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans",
  sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .4rem 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .8rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
p, ul { max-width: 44rem; margin: .5rem 0; }
.lead { color: var(--soft); margin: 0 0 1.4rem; }
.numbers { display: grid; gap: .8rem; margin: 0;
  grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); }
.numbers > div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1rem; }
.numbers dt { color: var(--soft); font-size: .9rem; }
.numbers dd { margin: 0; }
.value { font-size: 1.5rem; line-height: 1.3; font-weight: 650; overflow-wrap: normal;
  font-variant-numeric: tabular-nums; }
.value b { font-weight: inherit; }
.value small { font-size: .9rem; font-weight: 400; color: var(--soft); white-space: nowrap; }
.meaning { font-size: .9rem; color: var(--soft); }
.warning { background: var(--warn-ground); color: var(--warn); border-left: 4px solid;
  border-radius: .3rem; padding: .6rem .9rem; margin: .8rem 0; max-width: 44rem; }
.pictures { columns: 2 25rem; column-gap: 1.6rem; margin-top: 2.4rem; }
.pictures section { break-inside: avoid; }
.pictures section.long { break-inside: auto; }
.pictures h2 { break-after: avoid; margin-top: 0; }
figure { margin: 0 0 1.4rem; max-width: 38rem; background: #ffffff; color: #22272e;
  border: 1px solid var(--line); border-radius: .6rem; padding: .5rem; break-inside: avoid; }
figure svg, figure img { display: block; width: 100%; height: auto; }
figcaption { color: #4a525c; font-size: .9rem; line-height: 1.45; padding: .5rem .3rem .2rem; }
table { border-collapse: collapse; width: 100%; max-width: 44rem; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--soft); width: 45%; overflow-wrap: break-word; }
summary { cursor: pointer; color: var(--accent); }
pre { white-space: pre-wrap; font-size: .85rem; background: var(--card); padding: .8rem;
  border: 1px solid var(--line); border-radius: .4rem; }
footer { color: var(--soft); font-size: .9rem; margin-top: 3rem; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --ground: #fff;
  --card: #fff; --line: #bbb; --warn: #663800; --warn-ground: #fff; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2 { break-after: avoid; } figure, .warning, .numbers > div, tr { break-inside: avoid; }
  .pictures { columns: auto; } figure { max-width: 11.5cm; border: none; padding: 0; }
  details::details-content { content-visibility: visible; display: block; } }
"""


def document(title: str, body: str) -> str:
    """A whole page that loads nothing from anywhere.

    Args:
        title: plain text.
        body: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
