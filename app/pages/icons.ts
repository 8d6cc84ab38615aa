import { type Html, html } from './html.ts';

/** How a state or an outcome looks: told apart by the icon's shape and by words, the colour only helps. */
export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'calm';

/** The mark of the product: a keyhole on the line between two ends. */
export const MARK = html`<svg viewBox="0 0 28 28" fill="none" aria-hidden="true"><path d="M1.5 14H5M23 14h3.5" stroke="currentColor" stroke-width="2.5" stroke-linecap="round"/><path fill="currentColor" fill-rule="evenodd" d="M14 5.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM14 9.75a2.4 2.4 0 0 0-1.15 4.5V17.6a1.15 1.15 0 0 0 2.3 0v-3.35A2.4 2.4 0 0 0 14 9.75Z"/></svg>`;

/** The mark as an icon inside the page, so that no browser asks the upstream for `/favicon.ico`. */
export const FAVICON =
  'data:image/svg+xml,' +
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28"><rect width="28" height="28" rx="7" fill="#1f5f52"/>' +
      '<path d="M3.5 14h3M21.5 14h3" stroke="#fff" stroke-width="2.5" stroke-linecap="round"/>' +
      '<circle cx="14" cy="14" r="6.5" fill="#fff"/>' +
      '<path d="M14 10.8a1.9 1.9 0 0 0-.9 3.58v2.5a.9.9 0 0 0 1.8 0v-2.5a1.9 1.9 0 0 0-.9-3.58Z" fill="#1f5f52"/></svg>',
  );

function icon(shape: Html): Html {
  return html`<svg viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${shape}</svg>`;
}

/** A tick in a full ring. */
export const TICK = icon(html`<circle cx="10" cy="10" r="7.25"/><path d="m6.75 10.25 2.25 2.25 4.25-4.75"/>`);
/** A broken ring around three dots. */
export const DOTS = icon(
  html`<circle cx="10" cy="10" r="7.25" stroke-dasharray="3.2 2.5"/><path d="M6.9 10h.01M10 10h.01M13.1 10h.01" stroke-width="2"/>`,
);
/** A triangle with an exclamation mark. */
export const WARNING = icon(
  html`<path d="M8.7 3.5 2.3 14.6A1.5 1.5 0 0 0 3.6 16.85h12.8a1.5 1.5 0 0 0 1.3-2.25L11.3 3.5a1.5 1.5 0 0 0-2.6 0Z"/><path d="M10 7.75v3.5M10 14h.01"/>`,
);
/** A cross in an octagon. */
export const CROSS = icon(
  html`<path d="M7 2.75h6L17.25 7v6L13 17.25H7L2.75 13V7Z"/><path d="m7.75 7.75 4.5 4.5M12.25 7.75l-4.5 4.5"/>`,
);
/** A closed padlock. */
export const LOCK = icon(
  html`<rect x="4" y="8.75" width="12" height="8" rx="2"/><path d="M6.75 8.75V6.25a3.25 3.25 0 0 1 6.5 0v2.5"/>`,
);
/** An open padlock. */
export const OPEN_LOCK = icon(
  html`<rect x="4" y="8.75" width="12" height="8" rx="2"/><path d="M6.75 8.75V6a3.25 3.25 0 0 1 6.3-1.1"/>`,
);
