/** Random choices that a seed repeats. */
export interface Random {
  /** From 0 up to 1. */
  unit(): number;
  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number;
  /** One of the names, each as often as its weight says. */
  pick<Name extends string>(weights: Readonly<Record<Name, number>>): Name;
}

/** Marsaglia's xorshift with 32 bits of state. */
export function createRandom(seed: number): Random {
  // A state of zero would stay zero.
  let state = seed | 0 || 1;
  const unit = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return {
    unit,
    whole: (least, most) => least + Math.floor(unit() * (most - least + 1)),
    pick<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
      const entries = Object.entries(weights) as [Name, number][];
      let left = unit() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      const found = entries.find(([, weight]) => {
        left -= weight;
        return left < 0;
      });
      if (!found) throw new Error('there is nothing to pick from');
      return found[0];
    },
  };
}
