import { EventEmitter } from 'node:events';
import type { App } from 'electron';
import { describe, expect, it } from 'vitest';
import { denyByDefault } from '../../../../main/windows/hardening.ts';

/** What it does to contents and sessions is shown in a real Electron, in `in-electron.test.ts`. */
describe('a debugger on a port', () => {
  it('is out of reach in a package', () => {
    expect(switchesRemoved(true)).toEqual(['remote-debugging-port', 'remote-debugging-pipe']);
  });

  it('is left to who works on the source', () => {
    expect(switchesRemoved(false)).toEqual([]);
  });
});

it('a site that asks for a client certificate gets none, rather than the first one the person has', () => {
  const app = Object.assign(new EventEmitter(), { isPackaged: false });
  denyByDefault(app as unknown as App);
  const chosen: unknown[][] = [];
  let prevented = false;
  const event = { preventDefault: () => (prevented = true) };
  app.emit(
    'select-client-certificate',
    event,
    null,
    'https://example.com/',
    [{ data: 'x' }],
    (...args: unknown[]) => chosen.push(args),
  );
  expect({ chosen, prevented }).toEqual({ chosen: [[]], prevented: true });
});

function switchesRemoved(isPackaged: boolean): string[] {
  const removed: string[] = [];
  const commandLine = { removeSwitch: (name: string) => removed.push(name) };
  denyByDefault(Object.assign(new EventEmitter(), { isPackaged, commandLine }) as unknown as App);
  return removed;
}
