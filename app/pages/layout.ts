import { Html, type HtmlValue, html } from './html.ts';
import { FAVICON, MARK, type Tone } from './icons.ts';
import { STYLE } from './style.ts';

/** Not escaped: the hash of exactly this text is in the content security policy. */
const STYLE_MARKUP = new Html(STYLE);

export interface LayoutOptions {
  readonly title: string;
  /** The sections of the card, one of them with the page's only `h1`. */
  readonly sections: readonly Html[];
  /** What the product does, beside its name. */
  readonly tagline?: string;
  readonly footer?: HtmlValue;
  /** A page that says one thing: a small card in the middle. */
  readonly isNarrow?: boolean;
  /**
   * The page holds a form. Under `no-referrer` a browser sends `Origin: null` with it, which the guard refuses
   * (Fetch, "append a request `Origin` header"); such a page must have no secret in its URL.
   */
  readonly hasForm?: boolean;
}

/** Builds a whole document around the sections. */
export function layout({
  title,
  sections,
  tagline,
  footer,
  isNarrow = false,
  hasForm = false,
}: LayoutOptions): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${hasForm ? html`<meta name="referrer" content="same-origin">\n` : undefined}<title>${title} · MCP Auth Proxy</title>
<link rel="icon" href="${FAVICON}">
<style>${STYLE_MARKUP}</style>
</head>
<body${isNarrow ? html` class="narrow"` : undefined}>
<header>${MARK}<strong>MCP Auth Proxy</strong>${tagline === undefined ? undefined : html`<span>${tagline}</span>`}</header>
<main class="card">
${sections}
</main>
${footer === undefined ? undefined : html`<footer>${footer}</footer>\n`}</body>
</html>
`.markup;
}

/** The big icon at the head of a page that tells an outcome. */
export function seal(tone: Tone, icon: Html): Html {
  return html`<div class="seal ${tone}">${icon}</div>`;
}

/** The name people know an upstream by: its host, or the text itself when it is no URL. */
export function upstreamName(upstream: string): string {
  return URL.canParse(upstream) ? new URL(upstream).host || upstream : upstream;
}
