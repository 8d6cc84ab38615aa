import packageJson from '../package.json' with { type: 'json' };

/** Where this program is at home on the web, once package.json says so. */
export const HOMEPAGE: string | undefined = (packageJson as { homepage?: string }).homepage;

/** This program's version, as in package.json. */
export const VERSION: string = packageJson.version;
