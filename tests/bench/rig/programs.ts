import { access, constants, mkdir, readdir, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { output } from './process.ts';

/** A program in C that the bench needs. */
export interface Program {
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Programs, each with the Debian packages that hold it and what it needs beyond a bare system. */
const PACKAGES = {
  wrk: ['wrk', 'libluajit-5.1-2'],
  nginx: ['nginx'],
} as const;

/**
 * Finds a program, or unpacks it from Debian's packages into a cache folder: nothing is installed, so that no web server
 * begins to serve on this machine and nobody needs to be root.
 * @returns why it is missing, when there is none
 */
export async function findProgram(
  name: keyof typeof PACKAGES,
  cache: string,
): Promise<Program | { missing: string }> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  for (const folder of folders) {
    const file = join(folder, name);
    if (await isExecutable(file)) return { file, env: {} };
  }
  const folder = join(cache, name);
  try {
    return (await unpacked(name, folder)) ?? (await unpack(name, folder));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    const [reason] = (error instanceof Error ? error.message : String(error)).trim().split('\n').slice(-1);
    return {
      missing: `${name} is not here and cannot be fetched (${reason}); install Debian's package ${name}`,
    };
  }
}

async function unpack(name: keyof typeof PACKAGES, folder: string): Promise<Program> {
  await mkdir(folder, { recursive: true });
  // apt-get writes to the folder it is started in.
  await output('load', 'env', ['--chdir', folder, 'apt-get', 'download', '-q', ...PACKAGES[name]]);
  for (const file of await readdir(folder)) {
    if (file.endsWith('.deb')) await output('load', 'dpkg-deb', ['-x', join(folder, file), folder]);
  }
  const program = await unpacked(name, folder);
  if (program === undefined) throw new Error('the package holds no such program');
  return program;
}

async function unpacked(name: string, folder: string): Promise<Program | undefined> {
  const libraries = await readdir(join(folder, 'usr', 'lib')).catch(() => []);
  const env = { LD_LIBRARY_PATH: libraries.map((triplet) => join(folder, 'usr', 'lib', triplet)).join(':') };
  for (const place of ['bin', 'sbin']) {
    const file = join(folder, 'usr', place, name);
    if (await isExecutable(file)) return { file, env };
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
