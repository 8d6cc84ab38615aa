import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { _electron, type ElectronApplication, type Page } from 'playwright';
import { onTestFailed, onTestFinished } from 'vitest';
import { findElectron, sandboxArguments } from '../../build/electron.mjs';
import { type Desktop, missingDesktop } from './desktop.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const HELD = fileURLToPath(new URL('held-electron.mjs', import.meta.url));

/** Milliseconds that the app has to quit when its test is over. */
const QUIT_WITHIN = 20_000;

/** Exit code of a process, or the signal that ended it. */
export type End = number | NodeJS.Signals | null;

export interface AppOptions {
  readonly desktop: Pick<Desktop, 'env'>;
  /** `STATE_DIR` of the app: all that it keeps. */
  readonly stateDir: string;
  /** Further environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Further arguments, behind the app's folder. */
  readonly args?: readonly string[];
  /** Folder of the app, or its app.asar; this project when nothing is said. */
  readonly folder?: string;
  /** A packaged app, which comes with its own Electron. No debugger can get into it. */
  readonly executable?: string;
}

/** The app, as a test sees it from outside. */
export interface RunningApp {
  readonly app: ElectronApplication;
  /** The status window's page, as soon as it is there. */
  statusWindow(): Promise<Page>;
  /** The bar of a login window, as soon as it is there. */
  loginBar(): Promise<Page>;
  /**
   * The first page whose URL begins so, as soon as there is one: a provider's below the bar, or one in a window that a
   * page has opened. Windows and the views in them are all pages.
   */
  pageAt(prefix: string): Promise<Page>;
  /** What the app has written to standard output and standard error since it let a debugger in. */
  output(): string;
  /** Quits the app as its menu does. @returns its exit code, or the signal that ended it */
  close(): Promise<End>;
}

/** A process of the app that nobody watches from inside: for second instances, start times and idle CPU. */
export interface AppProcess {
  readonly child: ChildProcess;
  output(): string;
  readonly ended: Promise<End>;
}

/**
 * Why no Electron can run here, if none can. In continuous integration that is an error.
 * @throws Error when `CI` is `true` and something is missing
 */
export function missingElectron(): string | undefined {
  const electron = findElectron();
  if (!('missing' in electron)) return missingDesktop();
  if (process.env.CI === 'true') throw new Error(electron.missing);
  return electron.missing;
}

/**
 * Starts the app in a real Electron, and ends it with the test. The test fails if the app has ended by itself with an
 * error, and shows what it wrote.
 */
export async function launchApp(options: AppOptions): Promise<RunningApp> {
  const { executable, args, env } = command(options, [HELD]);
  const app = await _electron.launch({
    executablePath: executable,
    args,
    env,
    cwd: options.stateDir,
    // Shorter than a test's own, so that the error tells what the app wrote.
    timeout: 20_000,
  });
  const child = app.process();
  const output = collect(child);
  const ended = endOf(child);
  onTestFailed(() => console.error(`The app wrote:\n${output()}`));
  onTestFinished(async () => {
    const hung = setTimeout(() => child.kill('SIGKILL'), QUIT_WITHIN);
    await app.close();
    const end = await ended;
    clearTimeout(hung);
    if (end !== 0) throw new Error(`The app ended with ${end}:\n${output()}`);
  });
  // What the app does as soon as it is ready is done then: its promise was there before this one.
  await app.evaluate((electron) => electron.app.whenReady());
  return {
    app,
    statusWindow: () => pageAt(app, 'app://status/'),
    loginBar: () => pageAt(app, 'app://login/'),
    pageAt: (prefix) => pageAt(app, prefix),
    output,
    async close() {
      await app.close();
      return ended;
    },
  };
}

/** Starts the app as a person does, without a debugger in it, and ends it with the test. */
export function startApp(options: AppOptions): AppProcess {
  const { executable, args, env } = command(options);
  const child = spawn(executable, args, { env, cwd: options.stateDir, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collect(child);
  const ended = endOf(child);
  onTestFailed(() => console.error(`The app wrote:\n${output()}`));
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  });
  return { child, output, ended };
}

/**
 * Bundles an app of a test's own, with the product's preload script, as the product is bundled.
 * @param folder where it goes: what {@link AppOptions.folder} wants
 * @param main entry of its main process, a path in this project
 */
export async function bundleApp(folder: string, main: string): Promise<void> {
  const common = { absWorkingDir: PROJECT, bundle: true, external: ['electron'] };
  const manifest = {
    name: 'test-app',
    productName: 'Test App',
    version: '1.2.3',
    type: 'module',
    main: 'main.js',
  };
  await Promise.all([
    writeFile(path.join(folder, 'package.json'), JSON.stringify(manifest)),
    build({
      ...common,
      entryPoints: { main },
      outdir: folder,
      platform: 'node',
      format: 'esm',
      splitting: true,
      // CommonJS packages inside an ES module ask for it.
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
    }),
    build({
      ...common,
      entryPoints: ['main/preload.ts'],
      outfile: path.join(folder, 'preload.cjs'),
      platform: 'browser',
      format: 'cjs',
    }),
  ]);
}

/** @param starter what starts the app, if it is not to start by itself */
function command(
  { desktop, stateDir, env = {}, args = [], folder = PROJECT, ...options }: AppOptions,
  starter: readonly string[] = [],
) {
  const { executable, app, sandbox } = options.executable
    ? { executable: options.executable, app: [], sandbox: sandboxArguments() }
    : withElectron(folder);
  return {
    executable,
    args: [...sandbox, '--disable-gpu', ...starter, ...app, ...args],
    env: { ...desktop.env, STATE_DIR: stateDir, ...env },
  };
}

function withElectron(folder: string) {
  const electron = findElectron();
  if ('missing' in electron) throw new Error(electron.missing);
  return { executable: electron.executable, app: [folder], sandbox: electron.args };
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  return () => text;
}

async function endOf(child: ChildProcess): Promise<End> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return code ?? signal;
}

function pageAt(app: ElectronApplication, prefix: string): Promise<Page> {
  const context = app.context();
  return new Promise((resolve, reject) => {
    const look = (page: Page) => {
      if (page.url().startsWith(prefix)) resolve(page);
      else page.on('framenavigated', () => page.url().startsWith(prefix) && resolve(page));
    };
    for (const page of context.pages()) look(page);
    context.on('page', look);
    app.on('close', () => reject(new Error(`The app has ended, and there was no page at ${prefix}.`)));
  });
}
