import { html, safeLink } from './html.ts';
import { LOCK } from './icons.ts';
import { layout, seal, upstreamName } from './layout.ts';

export interface LoggedOutPageOptions {
  readonly upstream: string;
  /** What became of the grant at the login server, in one sentence. */
  readonly revoked: string;
  readonly loginUrl: string;
}

/** The page that ends a logout. */
export function loggedOutPage({ upstream, revoked, loginUrl }: LoggedOutPageOptions): string {
  const loginLink = safeLink(loginUrl);
  return layout({
    title: 'Logged out',
    isNarrow: true,
    sections: [
      html`<section>
${seal('calm', LOCK)}
<div class="heading">
<h1>You are logged out</h1>
<p class="lead">This proxy no longer holds a login for <strong>${upstreamName(upstream)}</strong>.</p>
</div>
<p>${revoked}</p>
${loginLink === undefined ? undefined : html`<div class="actions"><a class="button plain" href="${loginLink}">Log in again</a></div>\n`}</section>
`,
    ],
  });
}
