import * as v from 'valibot';

/** A repository at GitHub. */
export interface Repository {
  readonly owner: string;
  readonly name: string;
}

/** The two ways in which package.json names one. */
const MEMBER = v.union([v.string(), v.object({ url: v.string() })]);
/** A shorthand, or an address in one of the forms that Git and npm take. */
const AT_GITHUB =
  /^(?:github:|(?:git\+)?(?:https|ssh|git):\/\/(?:[^@/\s]+@)?github\.com\/|git@github\.com:)?([A-Za-z\d](?:[A-Za-z\d-]*[A-Za-z\d])?)\/([\w.-]+?)(?:\.git)?\/?(?:#.*)?$/;

/**
 * The repository that `repository` of package.json names, as far as its releases can be looked at: those of GitHub.
 * @returns `undefined` when it names none, or one elsewhere
 */
export function gitHubRepository(member: unknown): Repository | undefined {
  const parsed = v.safeParse(MEMBER, member);
  if (!parsed.success) return undefined;
  const address = typeof parsed.output === 'string' ? parsed.output : parsed.output.url;
  const [, owner, name] = AT_GITHUB.exec(address) ?? [];
  if (owner === undefined || name === undefined || /^\.+$/.test(name)) return undefined;
  return { owner, name };
}

/** The page of one release. Built here, so that nothing a feed says can lead anywhere else. */
export function releasePage({ owner, name }: Repository, tag: string): URL {
  return new URL(`https://github.com/${owner}/${name}/releases/tag/${encodeURIComponent(tag)}`);
}
