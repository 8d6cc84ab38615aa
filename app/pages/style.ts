import { createHash } from 'node:crypto';

/** The style sheet of every page: one constant, so that the content security policy can name it by its hash. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f5f1;
  --glow: #ffffff;
  --card: #ffffff;
  --sunken: #f4f3ee;
  --line: #e3e0d8;
  --edge: #c9c5ba;
  --text: #1d1c1a;
  --muted: #625e57;
  --accent: #1f5f52;
  --accent-strong: #174a40;
  --on-accent: #ffffff;
  --good: #17664a;
  --good-tint: #e4f3ea;
  --warn: #805000;
  --warn-tint: #fbf0d9;
  --bad: #a5281f;
  --bad-tint: #fbe9e6;
  --busy: #2b58a5;
  --busy-tint: #e6eefb;
  --calm: #56524b;
  --calm-tint: #eeece6;
  --shadow: 0 1px 2px rgb(40 36 28 / 5%), 0 12px 32px -12px rgb(40 36 28 / 14%);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #141513;
    --glow: #1b1d1a;
    --card: #1d1f1c;
    --sunken: #161815;
    --line: #31342f;
    --edge: #50544c;
    --text: #ecebe6;
    --muted: #a5a299;
    --accent: #8fd3bf;
    --accent-strong: #a9e2d1;
    --on-accent: #0c241e;
    --good: #86d6ad;
    --good-tint: #1b3328;
    --warn: #f0c273;
    --warn-tint: #382c15;
    --bad: #f5a59b;
    --bad-tint: #3d211e;
    --busy: #a3c3fa;
    --busy-tint: #1e2b42;
    --calm: #c0bdb4;
    --calm-tint: #2b2d29;
    --shadow: 0 1px 2px rgb(0 0 0 / 30%), 0 16px 40px -16px rgb(0 0 0 / 60%);
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0;
  min-height: 100vh;
  min-height: 100svh;
  display: flex;
  flex-direction: column;
  gap: 1.75rem;
  padding: clamp(1.25rem, 4vw, 2.5rem) clamp(1rem, 4vw, 2.5rem);
  background: radial-gradient(70rem 30rem at 50% -6rem, var(--glow), transparent) var(--page);
  color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  -webkit-font-smoothing: antialiased;
}
header, main, footer { width: 100%; max-width: 42rem; margin-inline: auto; }
.narrow header, .narrow main, .narrow footer { max-width: 30rem; }
header, footer { color: var(--muted); font-size: .875rem; }
header { display: flex; align-items: center; gap: .625rem; }
header svg { width: 1.75rem; height: 1.75rem; color: var(--accent); }
header span { margin-left: auto; text-align: right; }
header strong { color: var(--text); font-weight: 600; letter-spacing: -.005em; }
footer { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding-top: .25rem; }
.narrow main { margin-block: auto; }
.narrow header, .narrow footer { justify-content: center; }
h1, h2, p, dl, dd, pre { margin: 0; }
h1 { font-size: clamp(1.5rem, 1.3rem + 1.2vw, 1.875rem); line-height: 1.2; font-weight: 650; letter-spacing: -.018em; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1rem; line-height: 1.4; font-weight: 650; letter-spacing: -.005em; }
h3 { margin: 0; font-size: .875rem; font-weight: 600; color: var(--muted); }
p { max-width: 62ch; overflow-wrap: anywhere; }
svg { flex: none; display: block; }
.card {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 1.125rem;
  box-shadow: var(--shadow);
}
.card > * { padding: clamp(1.25rem, 4vw, 2rem); display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
.card > * + * { border-top: 1px solid var(--line); }
.lead { color: var(--muted); font-size: 1.0625rem; }
.quiet { color: var(--muted); font-size: .9375rem; }
.heading { display: grid; gap: .375rem; }
.badge {
  justify-self: start;
  display: inline-flex;
  align-items: center;
  gap: .4375rem;
  padding: .25rem .75rem .25rem .4375rem;
  border: 1px solid transparent;
  border-radius: 999px;
  font-size: .875rem;
  font-weight: 600;
  line-height: 1.5;
}
.badge svg { width: 1.125rem; height: 1.125rem; }
.good { color: var(--good); background: var(--good-tint); }
.warn { color: var(--warn); background: var(--warn-tint); }
.bad { color: var(--bad); background: var(--bad-tint); }
.busy { color: var(--busy); background: var(--busy-tint); }
.calm { color: var(--calm); background: var(--calm-tint); }
.seal { width: 3.5rem; height: 3.5rem; display: grid; place-items: center; border: 1px solid transparent; border-radius: 1.125rem; }
.seal svg { width: 2rem; height: 2rem; }
.narrow .card > :first-child { gap: 1.25rem; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; padding-top: .25rem; }
form { margin: 0; }
.button {
  display: inline-flex;
  align-items: center;
  justify-content: center;
  min-height: 2.75rem;
  padding: .5rem 1.25rem;
  border: 1px solid var(--accent);
  border-radius: .75rem;
  background: var(--accent);
  color: var(--on-accent);
  font: inherit;
  font-weight: 600;
  text-decoration: none;
  cursor: pointer;
}
.button:hover { background: var(--accent-strong); border-color: var(--accent-strong); }
.button.plain { background: transparent; border-color: var(--edge); color: var(--text); }
.button.plain:hover { background: var(--sunken); border-color: var(--muted); }
a { color: var(--accent); text-underline-offset: .2em; text-decoration-thickness: 1px; }
a:hover { color: var(--accent-strong); }
footer a { color: inherit; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: .375rem; }
.button:focus-visible { border-radius: .75rem; }
code, pre { font-family: var(--mono); font-size: .875rem; line-height: 1.6; unicode-bidi: isolate; }
code { overflow-wrap: anywhere; }
pre {
  padding: .75rem 1rem;
  background: var(--sunken);
  border: 1px solid var(--line);
  border-radius: .75rem;
  overflow-x: auto;
  tab-size: 2;
}
pre code { overflow-wrap: normal; }
.copy { user-select: all; -webkit-user-select: all; }
pre.url, pre.wrap { white-space: pre-wrap; }
pre.url code, pre.wrap code { overflow-wrap: anywhere; }
pre.wrap span { display: inline-block; max-width: 100%; }
pre.url, pre.url code { font-size: 1rem; }
.field { display: grid; grid-template-columns: minmax(0, 1fr); gap: .5rem; }
dl { display: grid; grid-template-columns: minmax(7rem, auto) minmax(0, 1fr); gap: .625rem 1.5rem; font-size: .9375rem; }
dt { color: var(--muted); }
dd { overflow-wrap: anywhere; unicode-bidi: isolate; }
.note { display: grid; gap: .25rem; padding: .875rem 1rem; border: 1px solid transparent; border-radius: .75rem; font-size: .9375rem; }
details { font-size: .9375rem; color: var(--muted); }
summary { cursor: pointer; width: fit-content; }
details pre { margin-top: .625rem; white-space: pre-wrap; overflow-wrap: anywhere; color: var(--text); }
@media (max-width: 30rem) {
  header span { display: none; }
  dl { grid-template-columns: minmax(0, 1fr); gap: .125rem; }
  dd + dt { margin-top: .625rem; }
  .actions > *, .actions .button { width: 100%; }
}
@media (forced-colors: active) {
  .badge, .seal, .note { border-color: CanvasText; }
}
@media print {
  body { background: none; }
  .card { box-shadow: none; }
  .actions { display: none; }
}
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/**
 * Headers of every page. The policy lets in the one style sheet, an icon held in the page, and forms to ourselves;
 * no script, no other resource, no frame around it. No page is kept, as each shows a state.
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = Object.freeze({
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${STYLE_HASH}'`,
    'img-src data:',
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
});
