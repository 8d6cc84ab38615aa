import { inflateSync } from 'node:zlib';

export interface Pixel {
  readonly red: number;
  readonly green: number;
  readonly blue: number;
  readonly alpha: number;
}

/** Reads a PNG of 8 bits each of red, green, blue and alpha, not interlaced (PNG specification, sections 5, 9 and 11). */
export function readPng(png: Buffer): { width: number; height: number; pixels: readonly Pixel[] } {
  const chunks = [...chunksOf(png)];
  const header = chunks.find(({ type }) => type === 'IHDR')?.data;
  if (header?.subarray(8).toString('hex') !== '0806000000') throw new Error('not the expected kind of PNG');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const data = inflateSync(
    Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)),
  );

  const stride = width * 4;
  let above = Buffer.alloc(stride);
  const pixels: Pixel[] = [];
  for (let row = 0; row < height; row += 1) {
    const start = row * (stride + 1);
    const line = unfilter(data.readUInt8(start), data.subarray(start + 1, start + 1 + stride), above);
    for (let at = 0; at < stride; at += 4) {
      const [red = 0, green = 0, blue = 0, alpha = 0] = line.subarray(at, at + 4);
      pixels.push({ red, green, blue, alpha });
    }
    above = line;
  }
  return { width, height, pixels };
}

function* chunksOf(png: Buffer): Generator<{ type: string; data: Buffer }> {
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) };
    at += length + 12;
  }
}

function unfilter(filter: number, filtered: Buffer, above: Buffer): Buffer<ArrayBuffer> {
  const line = Buffer.alloc(filtered.length);
  for (let at = 0; at < line.length; at += 1) {
    const [left = 0, up = 0, upLeft = 0] = [line[at - 4], above[at], above[at - 4]];
    const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, upLeft)][filter] ?? 0;
    line[at] = (filtered[at] ?? 0) + predicted;
  }
  return line;
}

function paeth(left: number, up: number, upLeft: number): number {
  const estimate = left + up - upLeft;
  const [toLeft, toUp, toUpLeft] = [left, up, upLeft].map((value) => Math.abs(estimate - value));
  if (toLeft === undefined || toUp === undefined || toUpLeft === undefined) return 0;
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}
