import { html } from './html.ts';
import { TICK, WARNING } from './icons.ts';
import { layout, seal, upstreamName } from './layout.ts';

export interface LoginDonePageOptions {
  readonly upstream: string;
  /** What the person should know although the login works, in one sentence. */
  readonly warning?: string;
}

/** The page that ends a login that worked. */
export function loginDonePage({ upstream, warning }: LoginDonePageOptions): string {
  return layout({
    title: 'Logged in',
    isNarrow: true,
    sections: [
      html`<section>
${warning === undefined ? seal('good', TICK) : seal('warn', WARNING)}
<div class="heading">
<h1>You are logged in</h1>
<p class="lead">Calls to <strong>${upstreamName(upstream)}</strong> now carry your login.</p>
</div>
${
  warning === undefined
    ? undefined
    : html`<p>${warning}</p>
`
}<p>You can close this window. If an MCP client was waiting, reconnect the server there.</p>
</section>
`,
    ],
  });
}
