// @ts-check
// Renders the SVG icons as PNG: for the macOS menu bar as they are (template images: black and alpha), for Linux trays in
// white with a dark edge, which can be read on light and dark panels, and the app's icon for its windows on Linux.
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import writeFileAtomic from 'write-file-atomic';

const SOURCES = fileURLToPath(new URL('icons', import.meta.url));
const APP_ICON = 'app';

/**
 * Renders what is missing or older than its source or this script.
 *
 * @param {string} folder where the PNGs go
 * @returns {Promise<string[]>} the paths of all PNGs, new and old
 */
export async function renderIcons(folder) {
  await mkdir(folder, { recursive: true });
  const sources = (await readdir(SOURCES)).filter((name) => name.endsWith('.svg'));
  const script = await changedAt(fileURLToPath(import.meta.url));
  const written = await Promise.all(
    sources.map(async (source) => {
      const path = join(SOURCES, source);
      const changed = Math.max(script, await changedAt(path));
      return Promise.all(
        imagesOf(source.slice(0, -'.svg'.length)).map(async ({ name, size, draw }) => {
          const png = join(folder, name);
          if ((await changedAt(png)) < changed) {
            await writeFileAtomic(png, await toPng(draw(await readFile(path, 'utf8')), size));
          }
          return png;
        }),
      );
    }),
  );
  return written.flat();
}

/** @typedef {(svg: string) => string} Draw */

/** @returns {readonly { name: string, size: number, draw: Draw }[]} sizes in pixels */
function imagesOf(/** @type {string} */ icon) {
  const asIs = (/** @type {string} */ svg) => svg;
  if (icon === APP_ICON) return [{ name: `${icon}-256.png`, size: 256, draw: asIs }];
  return [
    { name: `${icon}Template.png`, size: 16, draw: asIs },
    { name: `${icon}Template@2x.png`, size: 32, draw: asIs },
    { name: `${icon}.png`, size: 22, draw: withEdge },
    { name: `${icon}@2x.png`, size: 44, draw: withEdge },
  ];
}

/** @type {Draw} */
function withEdge(svg) {
  const shapes = svg.replace(/^[^>]*>/, '').replace('</svg>', '');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1.5 -1.5 19 19">
    <filter id="edge" filterUnits="userSpaceOnUse" x="-1.5" y="-1.5" width="19" height="19">
      <feGaussianBlur in="SourceAlpha" stdDeviation="0.6"/>
      <feComponentTransfer result="wider"><feFuncA type="linear" slope="6"/></feComponentTransfer>
      <feFlood flood-color="#1c1e24" flood-opacity="0.9"/>
      <feComposite in2="wider" operator="in" result="dark"/>
      <feFlood flood-color="#fff"/>
      <feComposite in2="SourceAlpha" operator="in" result="white"/>
      <feMerge><feMergeNode in="dark"/><feMergeNode in="white"/></feMerge>
    </filter>
    <g filter="url(#edge)">${shapes}</g>
  </svg>`;
}

/** @type {Promise<typeof import('@resvg/resvg-wasm').Resvg> | undefined} */
let renderer;

/** Loaded when there is something to render: most builds have nothing to. */
async function loadRenderer() {
  const { initWasm, Resvg } = await import('@resvg/resvg-wasm');
  await initWasm(await readFile(createRequire(import.meta.url).resolve('@resvg/resvg-wasm/index_bg.wasm')));
  return Resvg;
}

/**
 * @param {string} svg
 * @param {number} size width in pixels
 * @returns {Promise<Buffer>} the PNG
 */
export async function toPng(svg, size) {
  renderer ??= loadRenderer();
  const Resvg = await renderer;
  return Buffer.from(new Resvg(svg, { fitTo: { mode: 'width', value: size } }).render().asPng());
}

/** @returns milliseconds since the epoch; 0 for a file that is not there */
async function changedAt(/** @type {string} */ file) {
  return (await stat(file).catch(() => ({ mtimeMs: 0 }))).mtimeMs;
}
