/** A version by the rules of Semantic Versioning, taken apart; identifiers as they are written. */
interface Version {
  readonly core: readonly string[];
  readonly prerelease: readonly string[];
}

/** Far beyond what anybody calls a version, and still one line of a menu. */
const MAX_LENGTH = 40;
const NUMBER = '(?:0|[1-9]\\d*)';
const IDENTIFIER = `(?:${NUMBER}|\\d*[A-Za-z-][0-9A-Za-z-]*)`;
const VERSION = new RegExp(
  `^(${NUMBER})\\.(${NUMBER})\\.(${NUMBER})(?:-(${IDENTIFIER}(?:\\.${IDENTIFIER})*))?(?:\\+[0-9A-Za-z.-]+)?$`,
);

/** The version that a release's tag names, with or without a `v` in front; `undefined` when it names none. */
export function versionOfTag(tag: string): string | undefined {
  const version = tag.replace(/^v/, '');
  return parse(version) === undefined ? undefined : version;
}

/**
 * Whether a version is to be offered to somebody who has another one: it is newer, and no prerelease unless they have one.
 * @see https://semver.org/#spec-item-11
 */
export function isOffered(candidate: string, present: string): boolean {
  const [next, own] = [parse(candidate), parse(present)];
  if (next === undefined || own === undefined) return false;
  if (next.prerelease.length > 0 && own.prerelease.length === 0) return false;
  return (compareAll(next.core, own.core) || comparePrereleases(next.prerelease, own.prerelease)) > 0;
}

function parse(text: string): Version | undefined {
  const match = text.length <= MAX_LENGTH ? VERSION.exec(text) : null;
  if (match === null) return undefined;
  const [, major = '', minor = '', patch = '', prerelease] = match;
  return { core: [major, minor, patch], prerelease: prerelease?.split('.') ?? [] };
}

/** A prerelease comes before its release. */
function comparePrereleases(one: readonly string[], other: readonly string[]): number {
  if (one.length === 0 || other.length === 0) return other.length - one.length;
  return compareAll(one, other);
}

function compareAll(one: readonly string[], other: readonly string[]): number {
  for (const [index, identifier] of one.entries()) {
    const counterpart = other[index];
    if (counterpart === undefined) return 1;
    const order = compare(identifier, counterpart);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

/** Numbers come before words; they have no leading zeros, so that the longer one is the larger. */
function compare(one: string, other: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  if (isNumber && one.length !== other.length) return one.length - other.length;
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
