import { describe, expect, it } from 'vitest';
import { atLeast, atMost, beside, tableOf } from './report.ts';
import { median, quantile } from './rig/statistics.ts';

describe('the table of a bench', () => {
  it('says of each target whether it was met, and nothing where there is none', () => {
    const rows = [
      atLeast('speed', 1, 1, 'as it is'),
      atLeast('more speed', 0.999, 1, ''),
      atMost('delay', { value: 2, limit: 2, unit: 'ms' }, ''),
      atMost('longer delay', { value: 2.01, limit: 2, unit: 'ms' }, ''),
      beside('aside', 3.456, ''),
    ];
    expect(rows.map(({ met }) => met)).toEqual([true, false, true, false, undefined]);
    expect(tableOf(rows).split('\n')).toEqual([
      '| what         | measured | target   | met?    | figures of this run |',
      '| ------------ | -------- | -------- | ------- | ------------------- |',
      '| speed        | 1.00 ×   | ≥ 1 ×    | met     | as it is            |',
      '| more speed   | 1.00 ×   | ≥ 1 ×    | NOT MET |                     |',
      '| delay        | 2.0 ms   | ≤ 2.0 ms | met     |                     |',
      '| longer delay | 2.0 ms   | ≤ 2.0 ms | NOT MET |                     |',
      '| aside        | 3.46 ×   |          | –       |                     |',
    ]);
  });

  it('takes the middle of its figures', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([10, 20, 30], 0.75)]).toEqual([2, 2.5, 25]);
    expect(median([])).toBeNaN();
  });
});
