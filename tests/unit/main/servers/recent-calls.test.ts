import { describe, expect, it } from 'vitest';
import { RecentCalls } from '../../../../main/servers/recent-calls.ts';

const call = (at: number) => ({
  at,
  method: 'POST',
  rpc: 'tools/call',
  status: 200,
  refusal: undefined,
  durationMs: 3,
});

describe('RecentCalls', () => {
  it('numbers calls over all servers and keeps the last 200', () => {
    const calls = new RecentCalls();
    expect(calls.add('a', call(10))).toEqual({ number: 1, serverId: 'a', ...call(10) });
    for (let at = 2; at <= 250; at++) calls.add('b', call(at));
    expect(calls.list).toHaveLength(200);
    expect([calls.list[0]?.number, calls.list.at(-1)?.number]).toEqual([51, 250]);
  });
});
