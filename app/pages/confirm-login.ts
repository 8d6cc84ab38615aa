import { html, safeLink } from './html.ts';
import { LOCK } from './icons.ts';
import { layout, seal, upstreamName } from './layout.ts';

/**
 * The page for a person whom another web site has sent to the login: whether they want it is theirs to say, by a click on
 * a page of our own.
 */
export function confirmLoginPage({
  upstream,
  loginUrl,
}: {
  readonly upstream: string;
  readonly loginUrl: string;
}): string {
  const loginLink = safeLink(loginUrl);
  return layout({
    title: 'Do you want to log in?',
    isNarrow: true,
    sections: [
      html`<section>
${seal('calm', LOCK)}
<div class="heading">
<h1>Do you want to log in?</h1>
<p class="lead">Another web site has sent you to the login for <strong>${upstreamName(upstream)}</strong>.</p>
</div>
<p>MCP clients on this machine can then use your account there. If you did not expect this, close the page.</p>
${loginLink === undefined ? undefined : html`<div class="actions"><a class="button" href="${loginLink}">Log in</a></div>\n`}</section>
`,
    ],
  });
}
