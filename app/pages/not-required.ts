import { html } from './html.ts';
import { OPEN_LOCK } from './icons.ts';
import { layout, seal, upstreamName } from './layout.ts';

/** The page for a login that nobody needs: the upstream answers without one. */
export function notRequiredPage({
  upstream,
  mcpUrl,
}: {
  readonly upstream: string;
  readonly mcpUrl: string;
}): string {
  return layout({
    title: 'No login needed',
    isNarrow: true,
    sections: [
      html`<section>
${seal('calm', OPEN_LOCK)}
<div class="heading">
<h1>No login needed</h1>
<p class="lead"><strong>${upstreamName(upstream)}</strong> answers without a login.</p>
</div>
<p>Point your MCP client at this address and use it right away.</p>
<pre class="url" tabindex="0" role="group" aria-label="MCP URL"><code class="copy">${mcpUrl}</code></pre>
</section>
`,
    ],
  });
}
