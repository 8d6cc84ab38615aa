/**
 * Whether less than so many milliseconds have passed since a moment. When the clock was set back beyond that moment they
 * have passed: nobody is to wait for hours until the clock is there again.
 * @param since milliseconds since the epoch
 */
export function isWithin(ms: number, since: number): boolean {
  const passed = Date.now() - since;
  return passed >= 0 && passed < ms;
}
