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

function switchesRemoved(isPackaged: boolean): string[] {
  const removed: string[] = [];
  const commandLine = { removeSwitch: (name: string) => removed.push(name) };
  denyByDefault(Object.assign(new EventEmitter(), { isPackaged, commandLine }) as unknown as App);
  return removed;
}
