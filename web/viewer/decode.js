// @ts-check
/**
 * Carries out display commands on a canvas: docs/PROTOCOL.md, "Commands" and "Packings".
 */
import { decompress } from './zstd.js';

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** @typedef {object} Area
 * @property {number} x
 * @property {number} y
 * @property {number} width at least 1
 * @property {number} height at least 1
 */

/** @typedef {() => void} Step Draws one command. */

const COPY = 1;
const FILL = 2;
const BITMAP = 3;
const PATTERN = 4;
const PIXELS = 5;
const VIDEO = 6;

const PLAIN = 0;
const PALETTE = 1;
const PREDICTED = 2;
const ZSTD = 16;

const JPEG = 1;
const VP8 = 2;
const FILM_PIXELS_MAX = 1 << 22;

const PIXELS_MAX = 1 << 16;
const BITMAP_BYTES_MAX = 3 * PIXELS_MAX;
const OPAQUE = 0xff000000 | 0;

/** Three bytes of a pixel in one number, ten bits each: room for a sum of two, or a difference's sign. */
const LANES = 0x0ff3fcff;
/** The bit above each of the three. */
const SIGNS = 0x10040100;

/**
 * What is drawn next. A canvas takes it at once, so that one is enough, and new memory each time would have to be cleared first.
 * It has 32 bits a pixel, in the byte order of all machines that have browsers.
 */
const scratch = new ArrayBuffer(4 * PIXELS_MAX);
const row = new Int32Array(PIXELS_MAX);
/** By their numbers. */
const colors = new Int32Array(256);

/** What the server sent is not as the protocol has it. */
export class ProtocolError extends Error {}

/** @param {boolean} holds @param {string} what @returns {asserts holds} */
function check(holds, what) {
  if (!holds) {
    throw new ProtocolError(what);
  }
}

/** A canvas that shows a session's screen. What is to be done to it is done in the order it was asked for. */
export class Surface {
  /** Done when all before is; null: nothing is under way. @type {Promise<void> | null} */
  #last = null;

  /** @param {HTMLCanvasElement | OffscreenCanvas} canvas */
  constructor(canvas) {
    const context = /** @type {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null} */ (
      canvas.getContext('2d', { alpha: false, desynchronized: true })
    );
    if (context === null) {
      throw new Error('this browser has no canvas to draw on');
    }
    this.canvas = canvas;
    this.context = context;
    this.context.imageSmoothingEnabled = false;
    this.film = new Film();
    /** As it will be when all that was asked for is done. */
    this.width = canvas.width;
    this.height = canvas.height;
  }

  /** @param {number} width @param {number} height @returns {Promise<void>} done when it has that size; its content is undefined then */
  resize(width, height) {
    this.width = width;
    this.height = height;
    return this.then(null, () => {
      this.canvas.width = width;
      this.canvas.height = height;
      this.context.imageSmoothingEnabled = false; // a canvas forgets that with its size
    });
  }

  /**
   * Does something after all before, at once if there is nothing to wait for.
   * @param {Promise<unknown> | null} needed
   * @param {Step} step
   * @returns {Promise<void>}
   */
  then(needed, step) {
    if (this.#last === null && needed === null) {
      step();
      return Promise.resolve();
    }
    const done = Promise.all([this.#last, needed]).then(step);
    // What failed has been told to who asked for it; the rest is not its fault.
    const last = done.catch(() => undefined).then(() => {
      if (this.#last === last) {
        this.#last = null;
      }
    });
    this.#last = last;
    return done;
  }
}

/** Reads what a message has. */
class Reader {
  /** @param {Uint8Array | DataView} message */
  constructor(message) {
    this.bytes = /** @type {Bytes} */ (new Uint8Array(message.buffer, message.byteOffset, message.byteLength));
    this.at = 0;
  }

  /** @param {number} count @returns {number} little-endian */
  uint(count) {
    check(this.at + count <= this.bytes.length, 'a command is cut off');
    let value = 0;
    for (let i = 0; i < count; i++) {
      value += this.bytes[this.at++] * 2 ** (8 * i);
    }
    return value;
  }

  /** @returns {number} a canvas' pixel */
  color() {
    return OPAQUE | this.uint(3);
  }

  /** @returns {Bytes} a length and as many bytes */
  blob() {
    const count = this.uint(4);
    check(this.at + count <= this.bytes.length, 'a command is cut off');
    return this.bytes.subarray(this.at, (this.at += count));
  }
}

/** @param {Bytes} bytes @param {number} packing @param {number} lengthMax @returns {Bytes} */
function unpacked(bytes, packing, lengthMax) {
  return packing >= ZSTD ? decompress(bytes, lengthMax) : bytes;
}

/** @param {number} width @param {number} height @returns {{image: ImageData, pixels: Int32Array}} to be drawn before the next one */
function picture(width, height) {
  const count = width * height;
  const buffer = count <= PIXELS_MAX ? scratch : new ArrayBuffer(4 * count);
  return {
    image: new ImageData(new Uint8ClampedArray(buffer, 0, 4 * count), width, height),
    pixels: new Int32Array(buffer, 0, count),
  };
}

/**
 * Draws numbers of 1, 2 or 4 bits in {@link colors}.
 * @param {Bytes} bytes
 * @param {number} at where they begin; rows are filled up to whole bytes
 * @param {number} bits of each
 * @param {number} width
 * @param {Int32Array} pixels all of them are drawn
 * @returns {number} the bits that all drawn colours have
 */
function numbers(bytes, at, bits, width, pixels) {
  const mask = (1 << bits) - 1;
  let all = -1;
  for (let i = 0; i < pixels.length; ) {
    for (const end = i + width; i < end; ) {
      const byte = bytes[at++];
      for (let shift = 8 - bits; shift >= 0 && i < end; shift -= bits) {
        const color = colors[(byte >> shift) & mask];
        all &= color;
        pixels[i++] = color;
      }
    }
  }
  return all;
}

/** @param {Bytes} bits @param {Area} area @param {number} zero @param {number} one @returns {ImageData} */
function bitmap(bits, { width, height }, zero, one) {
  check(bits.length === ((width + 7) >> 3) * height, 'a bitmap has another length');
  const { image, pixels } = picture(width, height);
  colors[0] = zero;
  colors[1] = one;
  numbers(bits, 0, 1, width, pixels);
  return image;
}

/** @param {Bytes} bytes @param {number} width @param {number} height @returns {ImageData} */
function plain(bytes, width, height) {
  check(bytes.length === 3 * width * height, 'pixels have another length');
  const { image, pixels } = picture(width, height);
  for (let i = 0, at = 0; i < pixels.length; i++, at += 3) {
    pixels[i] = OPAQUE | bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
  }
  return image;
}

/** @param {Bytes} bytes @param {number} width @param {number} height @returns {ImageData} */
function palette(bytes, width, height) {
  check(bytes.length > 0, 'a palette is cut off');
  const count = bytes[0] + 1;
  const bits = count <= 2 ? 1 : count <= 4 ? 2 : count <= 16 ? 4 : 8;
  const stride = (width * bits + 7) >> 3;
  check(bytes.length === 1 + 3 * count + stride * height, 'pixels have another length');
  let green = 0;
  let red = 0;
  let blue = 0;
  for (let i = 0; i < count; i++) {
    green = (green + bytes[1 + i]) & 255;
    red = (red + bytes[1 + count + i]) & 255;
    blue = (blue + bytes[1 + 2 * count + i]) & 255;
    colors[i] = OPAQUE | ((green + red) & 255) | (green << 8) | (((green + blue) & 255) << 16);
  }
  colors.fill(0, count);
  const { image, pixels } = picture(width, height);
  const at = 1 + 3 * count;
  let all = -1;
  if (bits === 8) {
    for (let i = 0; i < pixels.length; i++) {
      const color = colors[bytes[at + i]];
      all &= color;
      pixels[i] = color;
    }
  } else {
    all = numbers(bytes, at, bits, width, pixels);
  }
  // Colours of the palette are opaque, what is beyond it is 0.
  check((all & OPAQUE) === OPAQUE, 'a pixel is beyond the palette');
  return image;
}

/** @param {Bytes} bytes @param {number} width @param {number} height @returns {ImageData} */
function predicted(bytes, width, height) {
  check(bytes.length === 3 * width * height, 'pixels have another length');
  const { image, pixels } = picture(width, height);
  let at = 0;
  let i = 0;
  let left = 0;
  // What the three bytes of each pixel of the row above stand for, before the sums. The first row has none, each is as what is next to it.
  for (let x = 0; x < width; x++, at += 3) {
    left = (left + (bytes[at] | (bytes[at + 1] << 10) | (bytes[at + 2] << 20))) & LANES;
    row[x] = left;
    pixels[i++] = pixel(left);
  }
  for (let y = 1; y < height; y++) {
    left = row[0];
    let corner = left;
    for (let x = 0; x < width; x++, at += 3) {
      // The median of left, up and left + up − corner is left + up less the corner, or less the lower or the higher of the two where the corner is
      // not between them. All three bytes at once, and without branches, which photographs would mislead.
      const up = row[x];
      const swapped = (left ^ up) & notLess(left, up);
      const low = left ^ swapped;
      const high = up ^ swapped;
      const least = high ^ ((high ^ corner) & notLess(high, corner));
      const between = low ^ ((low ^ least) & notLess(least, low));
      left = (left + up - between + (bytes[at] | (bytes[at + 1] << 10) | (bytes[at + 2] << 20))) & LANES;
      corner = up;
      row[x] = left;
      pixels[i++] = pixel(left);
    }
  }
  return image;
}

/** @param {number} a @param {number} b @returns {number} of {@link LANES}: all bits of those bytes in which a is not less than b */
function notLess(a, b) {
  const signs = ((a | SIGNS) - b) & SIGNS;
  return signs - (signs >>> 8);
}

/** @param {number} lanes green, red less green + 128, blue less green + 128 @returns {number} */
function pixel(lanes) {
  const green = lanes & 255;
  return OPAQUE | ((green + (lanes >>> 10) + 128) & 255) | (green << 8) | (((green + (lanes >>> 20) + 128) & 255) << 16);
}

/** @param {Bytes} bytes @param {number} packing @param {number} width @param {number} height @returns {ImageData} */
function image(bytes, packing, width, height) {
  const pixels = width * height;
  switch (packing & ~ZSTD) {
    case PLAIN:
      return plain(unpacked(bytes, packing, 3 * pixels), width, height);
    case PALETTE:
      return palette(unpacked(bytes, packing, 1 + 3 * 256 + pixels), width, height);
    case PREDICTED:
      return predicted(unpacked(bytes, packing, 3 * pixels), width, height);
    default:
      throw new ProtocolError(`packing ${packing} is unknown`);
  }
}

/**
 * Looks up a picture's size before anything is made of it.
 * @param {Bytes} jpeg
 * @returns {{width: number, height: number}} of its frame header (ITU-T T.81 §B.2.2)
 */
function jpegSize(jpeg) {
  check(jpeg[0] === 0xff && jpeg[1] === 0xd8, 'a picture is no JPEG');
  let at = 2;
  while (at + 9 <= jpeg.length && jpeg[at] === 0xff) {
    if (jpeg[at + 1] === 0xc0) {
      return { height: (jpeg[at + 5] << 8) | jpeg[at + 6], width: (jpeg[at + 7] << 8) | jpeg[at + 8] };
    }
    at += 2 + Math.max(2, (jpeg[at + 2] << 8) | jpeg[at + 3]);
  }
  throw new ProtocolError('a picture is no baseline JPEG');
}

let filmsFailed = false;

/** Whether VIDEO may be VP8: only in pages that came by https or from this computer do browsers have a decoder. */
export function canDecodeFilms() {
  return typeof VideoDecoder === 'function' && !filmsFailed;
}

/** What moves, as VP8 (RFC 6386): each frame continues those before it, back to a key frame. */
class Film {
  /** @type {VideoDecoder | null} */
  #decoder = null;
  /** Those that wait for a frame, in order. @type {{resolve: (frame: VideoFrame) => void, reject: (error: Error) => void}[]} */
  #waiting = [];
  #count = 0;

  /** @param {Bytes} data one frame @returns {Promise<VideoFrame>} to be closed by who gets it */
  decode(data) {
    check(data.length > 3, 'a frame is cut off');
    const key = (data[0] & 1) === 0; // RFC 6386, 9.1
    if (key) {
      this.#begin(data);
    }
    const decoder = this.#decoder;
    check(decoder !== null, 'a film has no beginning');
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      try {
        decoder.decode(
          new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp: this.#count++, data }),
        );
      } catch (error) {
        this.#fail(decoder, String(error));
      }
    });
  }

  /** @param {Bytes} data */
  #begin(data) {
    check(data.length >= 10 && data[3] === 0x9d && data[4] === 0x01 && data[5] === 0x2a, 'a key frame is none');
    const codedWidth = (data[6] | (data[7] << 8)) & 0x3fff;
    const codedHeight = (data[8] | (data[9] << 8)) & 0x3fff;
    const pixels = codedWidth * codedHeight;
    check(pixels > 0 && pixels <= FILM_PIXELS_MAX, 'a film is empty or too large');
    check(typeof VideoDecoder === 'function', 'this browser decodes no films');
    let decoder = this.#decoder;
    if (decoder === null) {
      /** @type {VideoDecoder} */
      const made = new VideoDecoder({
        output: (frame) => {
          const first = this.#waiting.shift();
          if (first === undefined) {
            frame.close();
          } else {
            first.resolve(frame);
          }
        },
        error: (error) => this.#fail(made, error.message),
      });
      decoder = made;
      this.#decoder = made;
    }
    decoder.configure({
      codec: 'vp8',
      codedWidth,
      codedHeight,
      optimizeForLatency: true,
      colorSpace: { matrix: 'smpte170m', primaries: 'bt709', transfer: 'iec61966-2-1', fullRange: false },
    });
  }

  /** @param {VideoDecoder} decoder @param {string} why */
  #fail(decoder, why) {
    if (decoder !== this.#decoder) {
      return;
    }
    // The connection is given up; the next one does without.
    filmsFailed = true;
    this.#decoder = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    waiting.forEach(({ reject }) => reject(new ProtocolError(`a film cannot be decoded: ${why}`)));
  }
}

/** Commands that have been read, each to be drawn in its turn, and what they wait for. */
class Program {
  /** @type {Step[]} */
  steps = [];
  /** @type {Promise<void>[]} */
  waits = [];
  /** @type {Set<ImageBitmap | VideoFrame>} */
  bitmaps = new Set();

  /** @param {Surface} surface */
  constructor(surface) {
    this.surface = surface;
    this.width = surface.width;
    this.height = surface.height;
  }

  /** @param {Area} area */
  inside({ x, y, width, height }) {
    return x + width <= this.width && y + height <= this.height;
  }

  /** @param {Reader} reader reads one command, and begins with what takes time */
  read(reader) {
    const code = reader.uint(1);
    const area = { x: reader.uint(2), y: reader.uint(2), width: reader.uint(2), height: reader.uint(2) };
    const { x, y, width, height } = area;
    check(width > 0 && height > 0 && this.inside(area), 'a command is for what is not on the screen');
    const { context, canvas } = this.surface;
    switch (code) {
      case COPY: {
        const fromX = reader.uint(2);
        const fromY = reader.uint(2);
        check(this.inside({ x: fromX, y: fromY, width, height }), 'a command copies what is not on the screen');
        this.steps.push(() => context.drawImage(canvas, fromX, fromY, width, height, x, y, width, height));
        return;
      }
      case FILL: {
        const rgb = [reader.uint(1), reader.uint(1), reader.uint(1)];
        this.steps.push(() => {
          context.fillStyle = `rgb(${rgb})`;
          context.fillRect(x, y, width, height);
        });
        return;
      }
      case BITMAP: {
        const zero = reader.color();
        const one = reader.color();
        const packing = reader.uint(1);
        const bytes = reader.blob();
        const length = ((width + 7) >> 3) * height;
        check(packing === PLAIN || packing === ZSTD, `packing ${packing} is unknown`);
        check(height === 1 || length <= BITMAP_BYTES_MAX, 'a bitmap is too large');
        this.steps.push(() => context.putImageData(bitmap(unpacked(bytes, packing, length), area, zero, one), x, y));
        return;
      }
      case PATTERN: {
        const tileWidth = reader.uint(2);
        const tileHeight = reader.uint(2);
        const packing = reader.uint(1);
        const bytes = reader.blob();
        const pixels = tileWidth * tileHeight;
        check(pixels > 0 && pixels <= PIXELS_MAX, 'a tile is empty or too large');
        this.steps.push(() => this.pattern(area, image(bytes, packing, tileWidth, tileHeight)));
        return;
      }
      case PIXELS: {
        const packing = reader.uint(1);
        const bytes = reader.blob();
        check(height === 1 || width * height <= PIXELS_MAX, 'there are too many pixels');
        this.steps.push(() => context.putImageData(image(bytes, packing, width, height), x, y));
        return;
      }
      case VIDEO: {
        const codec = reader.uint(1);
        check(codec === JPEG || codec === VP8, `codec ${codec} is unknown`);
        if (codec === JPEG) {
          this.video(area, reader.blob());
        } else {
          this.film(area, reader.blob());
        }
        return;
      }
      default:
        throw new ProtocolError(`command ${code} is unknown`);
    }
  }

  /** @param {Area} area @param {ImageData} tile */
  pattern({ x, y, width, height }, tile) {
    const { context } = this.surface;
    const stamp = new OffscreenCanvas(tile.width, tile.height);
    const drawn = stamp.getContext('2d', { alpha: false });
    check(drawn !== null, 'this browser has no canvas for a tile');
    drawn.putImageData(tile, 0, 0);
    const pattern = context.createPattern(stamp, 'repeat');
    check(pattern !== null, 'this browser has no patterns');
    context.save();
    context.translate(x, y);
    context.fillStyle = pattern;
    context.fillRect(0, 0, width, height);
    context.restore();
  }

  /** @param {Area} area @param {Bytes} jpeg */
  video({ x, y, width, height }, jpeg) {
    const size = jpegSize(jpeg);
    check(size.width === width && size.height === height, 'a picture has another size');
    /** @type {ImageBitmap | null} */
    let bitmap = null;
    this.waits.push(
      createImageBitmap(new Blob([jpeg], { type: 'image/jpeg' }), { colorSpaceConversion: 'none' }).then(
        (decoded) => {
          bitmap = decoded;
          this.bitmaps.add(decoded);
        },
        () => {
          throw new ProtocolError('a picture cannot be decoded');
        },
      ),
    );
    this.steps.push(() => {
      check(bitmap !== null, 'a picture is not there');
      this.surface.context.drawImage(bitmap, x, y);
    });
  }

  /** @param {Area} area @param {Bytes} frame */
  film({ x, y, width, height }, frame) {
    /** @type {VideoFrame | null} */
    let picture = null;
    this.waits.push(
      this.surface.film.decode(frame).then((decoded) => {
        picture = decoded;
        this.bitmaps.add(decoded);
      }),
    );
    this.steps.push(() => {
      check(picture !== null, 'a frame is not there');
      const { context } = this.surface;
      context.imageSmoothingEnabled = true; // it may be smaller than what it is for
      context.drawImage(picture, x, y, width, height);
      context.imageSmoothingEnabled = false;
    });
  }

  draw() {
    try {
      for (const step of this.steps) {
        step();
      }
    } finally {
      this.bitmaps.forEach((bitmap) => bitmap.close());
    }
  }

  /** Lets go of what nobody will draw. */
  drop() {
    void Promise.allSettled(this.waits).then(() => this.bitmaps.forEach((bitmap) => bitmap.close()));
  }
}

/**
 * Carries out the commands of an update, after all that was asked for before; at once, before this returns, if none of them needs
 * decoding in the background.
 * @param {Uint8Array | DataView} update commands one after the other; must stay as it is until this is done
 * @param {Surface} surface
 * @returns {Promise<void>} done when all is drawn; fails with a ProtocolError or a RangeError if the server sent what it must not
 */
export async function apply(update, surface) {
  const program = new Program(surface);
  const reader = new Reader(update);
  try {
    while (reader.at < reader.bytes.length) {
      program.read(reader);
    }
  } catch (error) {
    program.drop();
    throw error;
  }
  const decoded = program.waits.length === 0 ? null : Promise.all(program.waits);
  try {
    await surface.then(decoded, () => program.draw());
  } catch (error) {
    program.drop();
    throw error;
  }
}
