"""The style sheets of the report: of the page itself, and of its place in Snakemake's report."""

PAGE = """
.tagseg { max-width: 64rem; margin: 0 auto; padding: 1rem 1.25rem 3rem; box-sizing: border-box;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif;
  color: #1b1f24; background: #fff; overflow-wrap: break-word; }
.tagseg *, .tagseg *::before { box-sizing: border-box; }
.tagseg h1 { margin: .5rem 0 0; font-size: 2rem; line-height: 1.2; font-weight: 700; }
.tagseg h2 { margin: 2.75rem 0 .75rem; padding-top: .9rem; border-top: 1px solid #d5dae0;
  font-size: 1.35rem; line-height: 1.3; font-weight: 650; }
.tagseg h3 { margin: 1.75rem 0 .5rem; font-size: 1.02rem; line-height: 1.4; font-weight: 650; }
.tagseg p { margin: .5rem 0; }
.tagseg a { color: #0b5394; text-decoration: none; }
.tagseg a:hover { text-decoration: underline; }
.tagseg code, .tagseg pre { font: .88em/1.45 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
.tagseg code { overflow-wrap: anywhere; }
.tagseg .lead { max-width: 46rem; font-size: 1.08rem; color: #3d444d; }
.tagseg .note { max-width: 50rem; font-size: .87rem; color: #57606a; }

.tagseg .numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.75rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
.tagseg .number { padding: .7rem .85rem; border: 1px solid #d5dae0; border-radius: 6px; }
.tagseg .number:first-child { border-color: #0b5394; background: #f3f7fb; }
.tagseg .number b { display: block; font-size: 1.75rem; line-height: 1.2; font-weight: 650;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.tagseg .number span { display: block; font-size: .88rem; line-height: 1.35; }
.tagseg .number small { display: block; margin-top: .15rem; font-size: .78rem; line-height: 1.35;
  color: #57606a; }

.tagseg nav { margin: 1rem 0 0; font-size: .92rem; }
.tagseg nav a { display: inline-block; margin: 0 1.1rem .25rem 0; }

.tagseg .wide { overflow-x: auto; margin: .5rem 0; }
.tagseg table { border-collapse: collapse; font-size: .87rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
.tagseg th, .tagseg td { padding: .28rem .65rem; border-bottom: 1px solid #e6e9ed; text-align: left;
  vertical-align: bottom; }
.tagseg th { border-bottom: 1.5px solid #8b949e; font-weight: 600; }
.tagseg th:not(:first-child) { min-width: 4rem; }
.tagseg th .long { display: inline-block; min-width: 7.5rem; }
.tagseg td:first-child { min-width: 7rem; }
.tagseg .many { font-size: .75rem; }
.tagseg .many th, .tagseg .many td { min-width: 0; padding: .28rem .22rem; }
.tagseg .many td { white-space: nowrap; }
.tagseg .many th.right span { writing-mode: vertical-rl; transform: rotate(180deg); min-width: 0;
  max-height: 9rem; }
.tagseg .right { text-align: right; }
.tagseg td:not(:first-child).right { white-space: nowrap; }
.tagseg th:first-child, .tagseg td:first-child { position: sticky; left: 0; background: #fff; }
.tagseg td b { font-weight: 700; }

.tagseg figure { margin: .75rem 0 1.5rem; }
.tagseg figure img { display: block; max-width: 100%; height: auto; }
.tagseg figure.small img { width: 40rem; }
.tagseg figcaption { max-width: 50rem; margin: 0 0 .5rem; font-size: .92rem; color: #3d444d; }

.tagseg .bars { margin: .75rem 0; padding: 0; list-style: none; columns: 2 22rem; column-gap: 2.5rem;
  font-size: .88rem; }
.tagseg .bars li { display: grid; grid-template-columns: 7.5rem 1fr auto; gap: .6rem; align-items: center;
  margin: 0; padding: .14rem 0; break-inside: avoid; }
.tagseg .bars .track { height: .7rem; background: #eceff2; }
.tagseg .bars .fill { display: block; height: 100%; background: #0072b2; }
.tagseg .bars .value { min-width: 2.6rem; text-align: right; font-variant-numeric: tabular-nums; }
.tagseg .bars .value small { color: #57606a; }

.tagseg dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: .5rem 0;
  font-size: .9rem; }
.tagseg dt { color: #57606a; }
.tagseg dd { margin: 0; overflow-wrap: anywhere; }
.tagseg details { margin: 1rem 0; }
.tagseg summary { cursor: pointer; font-size: .95rem; font-weight: 600; }
.tagseg pre { margin: .5rem 0; padding: .75rem; border: 0; background: #f6f8fa; color: #1b1f24;
  font-size: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }

@media (max-width: 34rem) {
  .tagseg { padding: .5rem .8rem 2rem; font-size: 15px; }
  .tagseg h1 { font-size: 1.6rem; }
  .tagseg .numbers { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .tagseg .number b { font-size: 1.4rem; }
  .tagseg .bars li { grid-template-columns: 6rem 1fr auto; }
  .tagseg dl { grid-template-columns: 1fr; gap: 0; }
  .tagseg dd { margin-bottom: .4rem; }
}
@media print {
  .tagseg { max-width: none; padding: 0; font-size: 11pt; }
  .tagseg nav { display: none; }
  .tagseg .wide { overflow: visible; }
  .tagseg table { font-size: 7.5pt; }
  .tagseg .many { font-size: 5.5pt; }
  .tagseg th, .tagseg td, .tagseg .many th, .tagseg .many td { padding: .12rem .16rem; }
  .tagseg th:not(:first-child), .tagseg th .long { min-width: 0; }
  .tagseg figure img { max-height: 24cm; object-fit: contain; }
  .tagseg figure, .tagseg tr, .tagseg .number { break-inside: avoid; }
  .tagseg h2, .tagseg h3 { break-after: avoid; }
  .tagseg .track, .tagseg .fill { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
"""The page, everywhere: all selectors begin with its class."""

WINDOW = "html { background: #fff; } body { margin: 0; }"
"""The window of the page that stands alone."""

# Snakemake's report centres its front page, 32 rem wide, beside the graph of rules; a page taller than the
# window is then cut off above. The sheet is part of the page, so these rules go when another is shown.
FRONT = """
#app .grow.h-screen.overflow-auto { align-items: flex-start; min-width: 0; }
#app .grow.flex.gap-3.p-3.items-start { flex-direction: column; align-items: stretch; min-width: 0; }
#app .prose.max-w-lg { max-width: none; }
#app #rulegraph { max-height: none; max-width: 64rem; width: 100%; margin: 0 auto; padding: 0 1.25rem 2rem;
  overflow-x: auto; box-sizing: border-box; }
#app #rulegraph::before { content: "Rules (click one for its code)"; display: block; margin-bottom: 1rem;
  font: 650 1.35rem/1.3 system-ui, sans-serif; }
@media print { #app nav, #rulegraph { display: none; } #app .h-screen { height: auto; overflow: visible; } }
"""
"""What makes room for the page in Snakemake's report, and puts the graph of rules below it."""
