import * as v from 'valibot';
import { getDocument } from '../../app/get-document.ts';
import type { Network } from '../../app/network.ts';
import type { Repository } from './repository.ts';

/** What the feed has said last, to be kept until it says something else. */
export interface Latest {
  /** Tag of the latest release; `undefined` when there is none. */
  readonly tag: string | undefined;
  /** By it the feed tells whether there is anything new to say. */
  readonly etag: string | undefined;
}

export interface LatestReleaseOptions {
  /** Of the last answer. */
  readonly etag: string | undefined;
  readonly network?: Network | undefined;
  /** Where GitHub's API is. */
  readonly api?: string;
}

const API = 'https://api.github.com';
/** A repository that was renamed has its feed elsewhere on the same host. */
const MAX_REDIRECTS = 3;

const RELEASE = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    tag_name: v.string(),
    draft: v.optional(v.boolean(), false),
    prerelease: v.optional(v.boolean(), false),
  }),
);

/**
 * Asks GitHub for the latest release of a repository, which is no draft and not marked as a prerelease.
 * @returns `unchanged` when it is the one of the last answer; `refused`: why the answer is of no use
 * @throws {HttpFailure} when there was no answer
 * @see https://docs.github.com/en/rest/releases/releases#get-the-latest-release
 */
export async function latestRelease(
  { owner, name }: Repository,
  { etag, network, api = API }: LatestReleaseOptions,
): Promise<Latest | 'unchanged' | { readonly refused: string }> {
  const headers = {
    accept: 'application/vnd.github+json',
    'user-agent': 'mcp-auth-proxy',
    'x-github-api-version': '2022-11-28',
    ...(etag !== undefined && { 'if-none-match': etag }),
  };
  let url = new URL(`/repos/${owner}/${name}/releases/latest`, api);
  for (let redirects = 0; ; redirects++) {
    const answer = await getDocument(url.href, { headers, network });
    const next = redirectOf(answer, url);
    if (next !== undefined && next.origin === url.origin && redirects < MAX_REDIRECTS) {
      url = next;
      continue;
    }
    if (answer.status === 304) return 'unchanged';
    if (answer.status === 404) return { tag: undefined, etag: undefined };
    if (answer.status !== 200) return { refused: `status ${answer.status}` };
    const release = parse(answer.text);
    if (release === undefined) return { refused: 'no release' };
    const isPublic = !release.draft && !release.prerelease;
    return { tag: isPublic ? release.tag_name : undefined, etag: answer.header('etag')[0] };
  }
}

function redirectOf({ status, header }: Awaited<ReturnType<typeof getDocument>>, from: URL): URL | undefined {
  const [location] = header('location');
  if (![301, 302, 307, 308].includes(status) || location === undefined) return undefined;
  return URL.canParse(location, from.href) ? new URL(location, from) : undefined;
}

function parse(text: string): v.InferOutput<typeof RELEASE> | undefined {
  const parsed = v.safeParse(RELEASE, text);
  return parsed.success ? parsed.output : undefined;
}
