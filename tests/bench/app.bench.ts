import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { findElectron, sandboxArguments } from '../../build/electron.mjs';
import { type Desktop, startDesktop } from '../support/desktop.ts';
import { freePort } from '../support/free-port.ts';
import { startTrayHost, type TrayHost } from '../support/tray-host.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const RUNS = 7;
const IDLE_SECONDS = 60;
/** After so long nothing of the start is under way any more, in milliseconds. */
const SETTLE_MS = 10_000;

interface Start {
  readonly app: ChildProcess;
  readonly portMs: number;
  readonly trayMs: number;
}

/** Executable of a packaged app, to be measured in place of this project in the Electron at hand. */
const PACKAGED_APP = process.env.PACKAGED_APP || undefined;

/** How long the app takes from the start of its process to its tray and its port, and what it costs when idle. */
describe('the app', () => {
  let desktop: Desktop;
  let tray: TrayHost;
  const folder = mkdtempSync(path.join(tmpdir(), 'app-bench-'));
  beforeAll(async () => {
    desktop = await startDesktop();
    tray = await startTrayHost(desktop.busAddress);
  });
  afterAll(async () => {
    tray.stop();
    await desktop.stop();
    rmSync(folder, { recursive: true });
  });

  it('starts', async () => {
    await stop((await start()).app);
    const starts: Start[] = [];
    while (starts.length < RUNS) {
      const one = await start();
      await stop(one.app);
      starts.push(one);
    }
    const median = (of: (one: Start) => number) =>
      Math.round(starts.map(of).sort((a, b) => a - b)[(RUNS - 1) / 2] ?? 0);
    console.log(
      `from the start of the process, median of ${RUNS}: tray ${median(({ trayMs }) => trayMs)} ms, port ${median(({ portMs }) => portMs)} ms`,
    );
  });

  it('idles', async () => {
    const { app } = await start();
    await delay(SETTLE_MS);
    const processes = treeOf(app.pid ?? 0);
    const before = processes.map(cpuTicks);
    await delay(IDLE_SECONDS * 1_000);
    const used = processes.map((pid, at) => cpuTicks(pid) - (before[at] ?? 0));
    const ticks = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
    const percent = (sum(used) / ticks / IDLE_SECONDS) * 100;
    const resident = sum(processes.map(residentKib)) / 1024;
    console.log(
      `idle for ${IDLE_SECONDS} s: ${percent.toFixed(2)} % of a core in ${processes.length} processes, ${resident.toFixed(0)} MiB resident in all`,
    );
    await stop(app);
  });

  async function start(): Promise<Start> {
    const { executable, args } = command();
    const port = await freePort();
    const began = performance.now();
    const app = spawn(executable, [...args, '--disable-gpu'], {
      env: {
        ...desktop.env,
        STATE_DIR: folder,
        UPSTREAM_MCP_URL: 'http://127.0.0.1:9/mcp',
        PORT: String(port),
      },
      stdio: 'ignore',
    });
    const since = () => performance.now() - began;
    const [portMs, trayMs] = await Promise.all([answers(port).then(since), tray.menu().then(since)]);
    return { app, portMs, trayMs };
  }

  async function stop(child: ChildProcess): Promise<void> {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
    await tray.waitUntilEmpty();
  }
});

function command(): { executable: string; args: readonly string[] } {
  if (PACKAGED_APP !== undefined) return { executable: PACKAGED_APP, args: sandboxArguments() };
  const electron = findElectron();
  if ('missing' in electron) throw new Error(electron.missing);
  return { executable: electron.executable, args: [...electron.args, PROJECT] };
}

async function answers(port: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (response?.ok) return;
    await delay(5);
  }
}

function treeOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const pids = children
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
  return [pid, ...pids.flatMap(treeOf)];
}

/** User and system time of a process so far, in clock ticks (proc(5), fields 14 and 15). */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0);
}

function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}
