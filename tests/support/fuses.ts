import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses';

/** How a fuse stands in Electron's program: a character each. */
const ON = '1'.charCodeAt(0);

/** The fuses of an app that are on, by name, as they stand in its program. */
export async function fusesThatAreOn(app: string): Promise<string[]> {
  const wire = await getCurrentFuseWire(app);
  const names = Object.entries(FuseV1Options).filter(([, index]) => typeof index === 'number');
  return names.filter(([, index]) => Number(wire[index as FuseV1Options]) === ON).map(([name]) => name);
}

/** What the product has: it loads its own archive, unchanged, and takes no orders from outside. */
export const PRODUCT_FUSES = [
  'EnableCookieEncryption',
  'EnableEmbeddedAsarIntegrityValidation',
  'OnlyLoadAppFromAsar',
];
