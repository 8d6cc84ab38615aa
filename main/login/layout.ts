/** As Electron has it, in device-independent pixels. */
export interface Bounds {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** What most login pages are drawn for. */
const WINDOW = { width: 560, height: 780 };
/** Kept free around the window on a small screen. */
const MARGIN = 24;
/** Height of the bar, and of the strip below it that says what is wrong; the bar's style sheet has the same. */
const BAR_HEIGHT = 52;
const STRIP_HEIGHT = 80;

/** The window in the middle of what a screen leaves free. */
export function windowBounds(workArea: Bounds): Bounds {
  const width = Math.min(WINDOW.width, workArea.width - MARGIN);
  const height = Math.min(WINDOW.height, workArea.height - MARGIN);
  return {
    x: workArea.x + Math.round((workArea.width - width) / 2),
    y: workArea.y + Math.round((workArea.height - height) / 2),
    width,
    height,
  };
}

/**
 * Where the provider's page lies in the window: below the bar, and below the strip when there is trouble.
 * @param content size of the window's inside
 */
export function pageBounds(content: { width: number; height: number }, trouble: boolean): Bounds {
  const y = trouble ? BAR_HEIGHT + STRIP_HEIGHT : BAR_HEIGHT;
  return { x: 0, y, width: content.width, height: Math.max(0, content.height - y) };
}
