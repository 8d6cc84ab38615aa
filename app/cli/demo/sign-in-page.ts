import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Html, html } from '../../pages/html.ts';

/** Names and values of the sign-in form. */
export const SIGN_IN_FORM = {
  user: 'user',
  decision: 'decision',
  allow: 'allow',
  deny: 'deny',
  defaultUser: 'demo',
} as const;

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { display: grid; place-items: center; min-height: 100vh; margin: 0; padding: 16px; box-sizing: border-box; }
main { max-width: 26rem; }
h1 { font-size: 1.35rem; margin: 0 0 .75rem; }
ul { padding-left: 1.2rem; }
label { display: block; margin: 1rem 0; }
input, button { font: inherit; padding: .5rem .75rem; border-radius: 8px; border: 1px solid GrayText; }
input { display: block; width: 100%; box-sizing: border-box; margin-top: .25rem; }
button { cursor: pointer; margin-right: .5rem; }
button[value=allow] { background: #0b57d0; border-color: #0b57d0; color: #fff; }
`;

/**
 * No `form-action`: browsers apply it to the redirects after the form as well, and these end at the client's callback,
 * which is another origin.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Headers of every page of the sign-in. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'content-security-policy': CONTENT_SECURITY_POLICY,
} as const;

/** What the person is asked. */
export interface SignInQuestion {
  clientName: string;
  resources: readonly string[];
  scopes: readonly string[];
  /** Who is signed in already in this browser, if anybody. */
  user: string | undefined;
}

/** Sends the page on which one click signs in and consents. It needs no script. */
export function sendSignInPage(response: ServerResponse, question: SignInQuestion): void {
  const { clientName, resources, scopes, user } = question;
  const { defaultUser, decision, allow, deny } = SIGN_IN_FORM;
  const readOnly = user === undefined ? undefined : html` readonly`;
  const body = html`<p><strong>${clientName}</strong> asks for access to${resources.map((resource) => html` <code>${resource}</code>`)}</p>
<ul>${scopes.map((scope) => html`<li><code>${scope}</code></li>`)}</ul>
<form method="post">
<label>User name <input name="${SIGN_IN_FORM.user}" value="${user ?? defaultUser}" required maxlength="64" autocomplete="off"${readOnly}></label>
<button name="${decision}" value="${allow}">Allow</button>
<button name="${decision}" value="${deny}" formnovalidate>Deny</button>
</form>`;
  response.writeHead(200, PAGE_HEADERS).end(page('Sign in to the demo server', body));
}

/** Sends a page that says why the sign-in does not go on. */
export function sendErrorPage(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, PAGE_HEADERS).end(errorPage(message));
}

/** The page of {@link sendErrorPage}, for those who send it themselves with {@link PAGE_HEADERS}. */
export function errorPage(message: string): string {
  return page('The sign-in cannot go on', html`<p>${message}</p>`);
}

function page(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${new Html(STYLE)}</style></head>
<body><main><h1>${title}</h1>
${body}
</main></body></html>
`.markup;
}
