/** Markup that is safe to put into a page as it is; only {@link html} makes it. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

/** What a template may hold: text is escaped, markup is not, nothing stands for itself. */
export type HtmlValue = string | Html | undefined | readonly HtmlValue[];

/**
 * Template tag that escapes every interpolated text, for element content and for quoted attribute values.
 * Attribute values must stand in double quotes; links go through {@link safeLink} first.
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts.map((part, index) => part + toMarkup(values[index])).join(''));
}

function toMarkup(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.markup;
  if (typeof value === 'string') return escapeText(value);
  return value.map(toMarkup).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

const NO_ORIGIN = 'http://path.invalid';

/**
 * A target that may stand in a link or a form: an http(s) URL without credentials, or a path from the root.
 *
 * @returns the target as the URL standard writes it, or `undefined` for anything else (`javascript:`, `//host` …)
 */
export function safeLink(target: string | undefined): string | undefined {
  if (target === undefined) return undefined;
  if (URL.canParse(target)) {
    const url = new URL(target);
    const isWeb = url.protocol === 'http:' || url.protocol === 'https:';
    return isWeb && url.username === '' && url.password === '' ? url.href : undefined;
  }
  if (!target.startsWith('/') || !URL.canParse(target, NO_ORIGIN)) return undefined;
  const url = new URL(target, NO_ORIGIN);
  return url.origin === NO_ORIGIN ? url.pathname + url.search + url.hash : undefined;
}
