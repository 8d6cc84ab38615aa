import { html, safeLink } from './html.ts';
import { CROSS } from './icons.ts';
import { layout, seal, upstreamName } from './layout.ts';

export interface LoginFailedPageOptions {
  readonly upstream: string;
  readonly title?: string;
  /** What went wrong, in one sentence. */
  readonly message: string;
  /** What the person can do about it, in one sentence. */
  readonly cure: string;
  /** What the other side said, for whoever has to find the cause; never a secret. */
  readonly detail?: string;
  readonly retryUrl?: string;
}

/** The page that ends a login that did not work, and says why and what to do. */
export function loginFailedPage(options: LoginFailedPageOptions): string {
  const { upstream, title = 'The login did not work', message, cure, detail } = options;
  const retryLink = safeLink(options.retryUrl);
  return layout({
    title,
    isNarrow: true,
    sections: [
      html`<section>
${seal('bad', CROSS)}
<div class="heading">
<h1>${title}</h1>
<p class="lead">${message}</p>
</div>
<p>${cure}</p>
${retryLink === undefined ? undefined : html`<div class="actions"><a class="button" href="${retryLink}">Try again</a></div>\n`}${
  detail === undefined
    ? undefined
    : html`<details><summary>Technical details</summary><pre><code>${detail}</code></pre></details>\n`
}</section>
`,
    ],
    footer: html`<span>Login to ${upstreamName(upstream)}</span>`,
  });
}
