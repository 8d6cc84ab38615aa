import packageJson from '../package.json' with { type: 'json' };

const { homepage, repository } = packageJson as { homepage?: string; repository?: unknown };

/** Where this program is at home on the web, once package.json says so. */
export const HOMEPAGE: string | undefined = homepage;

/** package.json's `repository` as it stands there; `undefined` as long as it names none. */
export const REPOSITORY: unknown = repository;

/** This program's version, as in package.json. */
export const VERSION: string = packageJson.version;
