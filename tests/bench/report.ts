/** One line of the table. */
export interface Row {
  readonly what: string;
  /** The ratio, or what else the target speaks of. */
  readonly measured: string;
  /** Empty where nothing was promised. */
  readonly target: string;
  readonly met: boolean | undefined;
  /** Absolute figures, which mean something beside one another only. */
  readonly figures: string;
}

/** A table of rows in Markdown, with columns of even width. */
export function tableOf(rows: readonly Row[]): string {
  const cells = [
    ['what', 'measured', 'target', 'met?', 'figures of this run'],
    ...rows.map(({ what, measured, target, met, figures }) => [
      what,
      measured,
      target,
      verdict(met),
      figures,
    ]),
  ];
  const [head = []] = cells;
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  const [first = '', ...others] = cells.map(line);
  return [first, rule, ...others].join('\n');
}

function verdict(met: boolean | undefined): string {
  if (met === undefined) return '–';
  return met ? 'met' : 'NOT MET';
}

/** A ratio of the broker to something else, which is to be at least so much. */
export function atLeast(what: string, ratio: number, target: number, figures: string): Row {
  return {
    what,
    measured: `${ratio.toFixed(2)} ×`,
    target: `≥ ${target} ×`,
    met: ratio >= target,
    figures,
  };
}

/** A figure that is not to exceed another. */
export function atMost(
  what: string,
  { value, limit, unit }: { value: number; limit: number; unit: string },
  figures: string,
  digits = 1,
): Row {
  return {
    what,
    measured: `${value.toFixed(digits)} ${unit}`,
    target: `≤ ${limit.toFixed(digits)} ${unit}`,
    met: value <= limit,
    figures,
  };
}

/** A ratio nobody has promised anything about. */
export function beside(what: string, ratio: number, figures: string): Row {
  return { what, measured: `${ratio.toFixed(2)} ×`, target: '', met: undefined, figures };
}
