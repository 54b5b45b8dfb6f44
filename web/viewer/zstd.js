// @ts-check
/**
 * Decompresses zstd frames (RFC 8878; section numbers are its own). What is malformed ends in an error, never in more output or work
 * than the length that was asked for allows.
 */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** @typedef {object} FseTable Of §4.1.
 * @property {number} log of its number of states
 * @property {Int32Array} states each its symbol, 256 × how many bits to read for the next state, 65536 × what to add them to
 */

/** @typedef {object} HuffmanTable Of §4.2.
 * @property {number} log bits of the longest code
 * @property {Uint16Array} codes by the next `log` bits: symbol + 256 × bits of its code
 */

const BLOCK_MAX = 1 << 17;
/** Of more bytes, a call of the browser's own is faster than a loop. */
const LONG = 40;

// §3.1.1.3.2.1.1: what codes of literal lengths and match lengths stand for.
const LITERAL_BITS = Uint8Array.of(
  ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
);
const MATCH_BITS = Uint8Array.of(...Array(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const LITERAL_BASE = bases(0, LITERAL_BITS);
const MATCH_BASE = bases(3, MATCH_BITS);
const OFFSET_CODE_MAX = 24; // farther back than any output here is long

// §3.1.1.3.2.2: tables that need not be sent.
const LITERAL_DEFAULT = fseTable(6, [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1]);
const MATCH_DEFAULT = fseTable(6, [1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array(37).fill(1), -1, -1, -1, -1, -1, -1, -1]);
const OFFSET_DEFAULT = fseTable(5, [1, 1, 1, 1, 1, 1, 2, 2, 2, ...Array(15).fill(1), -1, -1, -1, -1, -1]);

/** The frame, and some bytes more, so that four can be read at once anywhere. @type {Bytes} */
let input = new Uint8Array(1 << 16);
/** For what is read by 32 bits at once. */
let words = new DataView(input.buffer);
/** @type {Bytes} */
const literals = new Uint8Array(BLOCK_MAX);
/** What came out last: new memory each time would have to be cleared first. @type {Bytes} */
let output = new Uint8Array(3 << 16);

/** @param {boolean} holds @param {string} what @returns {asserts holds} */
function check(holds, what) {
  if (!holds) {
    throw new RangeError(`zstd: ${what}`);
  }
}

/** @param {number} first @param {Uint8Array} bits @returns {Int32Array} the first value of each code */
function bases(first, bits) {
  const base = new Int32Array(bits.length);
  let next = first;
  bits.forEach((count, code) => {
    base[code] = next;
    next += 2 ** count;
  });
  return base;
}

/** @param {number} value above 0 @returns {number} its highest bit that is set */
function highBit(value) {
  return 31 - Math.clz32(value);
}

/**
 * @param {number} log
 * @param {ArrayLike<number>} counts of each symbol among the states; −1: less than one
 * @returns {FseTable} §4.1.1
 */
function fseTable(log, counts) {
  const size = 1 << log;
  const states = new Int32Array(size);
  const next = new Uint16Array(counts.length);
  let high = size;
  for (let s = 0; s < counts.length; s++) {
    if (counts[s] === -1) {
      states[--high] = s;
      next[s] = 1;
    }
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let s = 0; s < counts.length; s++) {
    for (let i = 0; i < counts[s]; i++) {
      next[s] = counts[s];
      states[at] = s;
      do {
        at = (at + step) & (size - 1);
      } while (at >= high);
    }
  }
  for (let state = 0; state < size; state++) {
    const count = next[states[state]]++;
    const bits = log - highBit(count);
    states[state] |= (bits << 8) | (((count << bits) - size) << 16);
  }
  return { log, states };
}

/**
 * Reads a table's description, §4.1.1.
 * @param {number} from
 * @param {number} end
 * @param {number} logMax
 * @param {number} symbolMax
 * @returns {{table: FseTable, end: number}}
 */
function readFseTable(from, end, logMax, symbolMax) {
  let bit = from * 8;
  const peek = (/** @type {number} */ count) => {
    const i = bit >> 3;
    return ((input[i] | (input[i + 1] << 8) | (input[i + 2] << 16)) >> (bit & 7)) & ((1 << count) - 1);
  };
  const log = peek(4) + 5;
  bit += 4;
  check(log <= logMax, 'a table is too large');
  /** @type {number[]} */
  const counts = [];
  let remaining = 1 << log;
  while (remaining > 0) {
    check(counts.length <= symbolMax && bit < end * 8, 'a table is malformed');
    const bits = highBit(remaining + 1) + 1;
    const low = (1 << (bits - 1)) - 1;
    const threshold = (1 << bits) - 1 - (remaining + 1);
    let value = peek(bits);
    if ((value & low) < threshold) {
      value &= low;
      bit += bits - 1;
    } else {
      if (value > low) {
        value -= threshold;
      }
      bit += bits;
    }
    const count = value - 1;
    remaining -= Math.abs(count);
    counts.push(count);
    if (count === 0) {
      let repeat;
      do {
        repeat = peek(2);
        bit += 2;
        for (let i = 0; i < repeat; i++) {
          counts.push(0);
        }
      } while (repeat === 3 && counts.length <= symbolMax);
    }
  }
  const next = (bit + 7) >> 3;
  check(remaining === 0 && counts.length <= symbolMax + 1 && next <= end, 'a table is malformed');
  return { table: fseTable(log, counts), end: next };
}

/**
 * A stream that is read from its end, §4.1: the position is the number of bits left.
 * @param {number} from @param {number} end @returns {number}
 */
function bitsIn(from, end) {
  check(end > from && input[end - 1] !== 0, 'a stream has no end mark');
  return (end - from - 1) * 8 + highBit(input[end - 1]);
}

/**
 * @param {number} from where the stream begins
 * @param {number} position of the lowest bit that is meant, at least 0
 * @param {number} count up to 25
 */
function bitsAt(from, position, count) {
  return (words.getInt32(from + (position >> 3), true) >>> (position & 7)) & ((1 << count) - 1);
}

/** @param {number} from @param {number} end @returns {number[]} weights of Huffman codes that FSE has compressed, §4.2.1.2 */
function readWeights(from, end) {
  const { table, end: begin } = readFseTable(from, end, 6, 255);
  let left = bitsIn(begin, end);
  const take = (/** @type {number} */ count) => {
    left -= count;
    return left >= 0 ? bitsAt(begin, left, count) : count + left > 0 ? bitsAt(begin, 0, count + left) << -left : 0;
  };
  let one = take(table.log);
  let two = take(table.log);
  check(left >= 0, 'weights are cut off');
  /** @type {number[]} */
  const weights = [];
  while (weights.length < 255) {
    const state = table.states[one];
    weights.push(state & 255);
    one = (state >>> 16) + take((state >> 8) & 255);
    if (left < 0) {
      weights.push(table.states[two] & 255);
      return weights;
    }
    [one, two] = [two, one];
  }
  throw new RangeError('zstd: too many weights');
}

/** @param {number} from @param {number} end @returns {{table: HuffmanTable, end: number}} §4.2.1 */
function readHuffmanTable(from, end) {
  check(from < end, 'a tree is cut off');
  const head = input[from];
  /** @type {number[]} */
  let weights = [];
  let next = from + 1;
  if (head < 128) {
    next += head;
    check(next <= end, 'a tree is cut off');
    weights = readWeights(from + 1, next);
  } else {
    const count = head - 127;
    next += (count + 1) >> 1;
    check(next <= end, 'a tree is cut off');
    for (let i = 0; i < count; i++) {
      const pair = input[from + 1 + (i >> 1)];
      weights.push(i & 1 ? pair & 15 : pair >> 4);
    }
  }
  let sum = 0;
  for (const weight of weights) {
    check(weight <= 12, 'a code is too long');
    sum += weight === 0 ? 0 : 1 << (weight - 1);
  }
  check(sum > 0, 'a tree is empty');
  const log = highBit(sum) + 1;
  const rest = (1 << log) - sum;
  check(log <= 11 && (rest & (rest - 1)) === 0 && weights.length <= 255, 'a tree is malformed');
  weights.push(highBit(rest) + 1);
  const codes = new Uint16Array(1 << log);
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    for (let s = 0; s < weights.length; s++) {
      if (weights[s] === weight) {
        codes.fill(s | ((log + 1 - weight) << 8), at, at + (1 << (weight - 1)));
        at += 1 << (weight - 1);
      }
    }
  }
  check(at === 1 << log, 'a tree is malformed');
  return { table: { log, codes }, end: next };
}

/**
 * Reads literals of one stream, §4.2.2.
 * @param {HuffmanTable} table
 * @param {number} from
 * @param {number} left as {@link bitsIn} has it
 * @param {number} to index in literals
 * @param {number} toEnd
 */
function readHuffman({ log, codes }, from, left, to, toEnd) {
  const bytes = words;
  const out = literals;
  const rest = 32 - log;
  // Two codes have at most 22 bits, which with 7 before them fit into 32.
  while (to + 1 < toEnd && left >= 2 * log) {
    const low = left - 2 * log;
    const window = bytes.getInt32(from + (low >> 3), true) << (rest - log - (low & 7));
    const one = codes[window >>> rest];
    const two = codes[(window << (one >> 8)) >>> rest];
    out[to] = one;
    out[to + 1] = two;
    to += 2;
    left -= (one >> 8) + (two >> 8);
  }
  while (to < toEnd) {
    const code = codes[left >= log ? bitsAt(from, left - log, log) : bitsAt(from, 0, left) << (log - left)];
    out[to++] = code;
    left -= code >> 8;
    check(left >= 0, 'literals are cut off');
  }
  check(left === 0, 'literals are too long');
}

/**
 * Reads literals of four streams, §4.2.2: a little of each in turn, so that a processor need not wait for one code's length before it
 * looks for the next code.
 * @param {HuffmanTable} table
 * @param {number} from
 * @param {number} end
 * @param {number} count of all literals
 */
function readFourHuffman(table, from, end, count) {
  check(from + 6 <= end, 'literals are cut off');
  const each = (count + 3) >> 2;
  check(3 * each <= count, 'literals are too few');
  const fromA = from + 6;
  const fromB = fromA + words.getUint16(from, true);
  const fromC = fromB + words.getUint16(from + 2, true);
  const fromD = fromC + words.getUint16(from + 4, true);
  check(fromD <= end, 'literals are cut off');
  let leftA = bitsIn(fromA, fromB);
  let leftB = bitsIn(fromB, fromC);
  let leftC = bitsIn(fromC, fromD);
  let leftD = bitsIn(fromD, end);
  const { log, codes } = table;
  const bytes = words;
  const out = literals;
  const rest = 32 - log;
  const two = 2 * log;
  const shift = rest - log;
  const last = count - 3 * each - 1;
  let to = 0;
  // As in readHuffman.
  for (; to < last && leftA >= two && leftB >= two && leftC >= two && leftD >= two; to += 2) {
    leftA -= two;
    leftB -= two;
    leftC -= two;
    leftD -= two;
    const windowA = bytes.getInt32(fromA + (leftA >> 3), true) << (shift - (leftA & 7));
    const windowB = bytes.getInt32(fromB + (leftB >> 3), true) << (shift - (leftB & 7));
    const windowC = bytes.getInt32(fromC + (leftC >> 3), true) << (shift - (leftC & 7));
    const windowD = bytes.getInt32(fromD + (leftD >> 3), true) << (shift - (leftD & 7));
    const a = codes[windowA >>> rest];
    const b = codes[windowB >>> rest];
    const c = codes[windowC >>> rest];
    const d = codes[windowD >>> rest];
    const nextA = codes[(windowA << (a >> 8)) >>> rest];
    const nextB = codes[(windowB << (b >> 8)) >>> rest];
    const nextC = codes[(windowC << (c >> 8)) >>> rest];
    const nextD = codes[(windowD << (d >> 8)) >>> rest];
    out[to] = a;
    out[to + 1] = nextA;
    out[to + each] = b;
    out[to + each + 1] = nextB;
    out[to + 2 * each] = c;
    out[to + 2 * each + 1] = nextC;
    out[to + 3 * each] = d;
    out[to + 3 * each + 1] = nextD;
    leftA += two - (a >> 8) - (nextA >> 8);
    leftB += two - (b >> 8) - (nextB >> 8);
    leftC += two - (c >> 8) - (nextC >> 8);
    leftD += two - (d >> 8) - (nextD >> 8);
  }
  readHuffman(table, fromA, leftA, to, each);
  readHuffman(table, fromB, leftB, to + each, 2 * each);
  readHuffman(table, fromC, leftC, to + 2 * each, 3 * each);
  readHuffman(table, fromD, leftD, to + 3 * each, count);
}

class Frame {
  /** @param {Bytes} out */
  constructor(out) {
    this.out = out;
    this.length = 0;
    /** @type {HuffmanTable | null} */
    this.huffman = null;
    /** Of literal lengths, offsets, match lengths. @type {(FseTable | null)[]} */
    this.tables = [null, null, null];
    this.offsets = [1, 4, 8];
  }

  /** @param {number} from @param {number} end a compressed block, §3.1.1.3 */
  block(from, end) {
    check(from < end, 'a block is empty');
    const type = input[from] & 3;
    const format = (input[from] >> 2) & 3;
    const word = (input[from] | (input[from + 1] << 8) | (input[from + 2] << 16) | (input[from + 3] << 24)) >>> 4;
    let count;
    if (type < 2) {
      const head = format === 3 ? 3 : format === 1 ? 2 : 1;
      count = format === 3 ? word & 0xfffff : format === 1 ? word & 0xfff : input[from] >> 3;
      from += head;
      check(count <= BLOCK_MAX && from + (type === 0 ? count : 1) <= end, 'literals are cut off');
      if (type === 0) {
        literals.set(input.subarray(from, from + count));
        from += count;
      } else {
        literals.fill(input[from++], 0, count);
      }
    } else {
      const bits = format < 2 ? 10 : format === 2 ? 14 : 18;
      const head = format < 2 ? 3 : format === 2 ? 4 : 5;
      count = word & ((1 << bits) - 1);
      const compressed = format === 3 ? (word >>> 18) | (input[from + 4] << 10) : (word >>> bits) & ((1 << bits) - 1);
      from += head;
      const next = from + compressed;
      check(count <= BLOCK_MAX && next <= end, 'literals are cut off');
      if (type === 2) {
        const read = readHuffmanTable(from, next);
        this.huffman = read.table;
        from = read.end;
      }
      const table = this.huffman;
      check(table !== null, 'there is no tree yet');
      if (format === 0) {
        readHuffman(table, from, bitsIn(from, next), 0, count);
      } else {
        readFourHuffman(table, from, next, count);
      }
      from = next;
    }
    this.sequences(from, end, count);
  }

  /** @param {number} from @param {number} end @param {number} literalCount §3.1.1.3.2 */
  sequences(from, end, literalCount) {
    check(from < end, 'sequences are cut off');
    let count = input[from++];
    if (count === 255) {
      count = 0x7f00 + (input[from] | (input[from + 1] << 8));
      from += 2;
    } else if (count >= 128) {
      count = ((count - 128) << 8) | input[from++];
    }
    let at = this.length;
    let literal = 0;
    const out = this.out;
    if (count > 0) {
      check(from < end, 'sequences are cut off');
      const modes = input[from++];
      check((modes & 3) === 0, 'a reserved bit is set');
      from = this.table(0, modes >> 6, from, end, 9, 35, LITERAL_DEFAULT);
      from = this.table(1, (modes >> 4) & 3, from, end, 8, OFFSET_CODE_MAX, OFFSET_DEFAULT);
      from = this.table(2, (modes >> 2) & 3, from, end, 9, 52, MATCH_DEFAULT);
      const [literalTable, offsetTable, matchTable] = this.tables;
      check(literalTable !== null && offsetTable !== null && matchTable !== null, 'there is no table yet');
      let left = bitsIn(from, end);
      check(left >= literalTable.log + offsetTable.log + matchTable.log, 'sequences are cut off');
      let literalState = bitsAt(from, (left -= literalTable.log), literalTable.log);
      let offsetState = bitsAt(from, (left -= offsetTable.log), offsetTable.log);
      let matchState = bitsAt(from, (left -= matchTable.log), matchTable.log);
      let [recent, second, third] = this.offsets;
      const literalStates = literalTable.states;
      const offsetStates = offsetTable.states;
      const matchStates = matchTable.states;
      for (let i = 0; i < count; i++) {
        const literalEntry = literalStates[literalState];
        const offsetEntry = offsetStates[offsetState];
        const matchEntry = matchStates[matchState];
        const offsetCode = offsetEntry & 255;
        const matchBits = MATCH_BITS[matchEntry & 255];
        const literalBits = LITERAL_BITS[literalEntry & 255];
        check(left >= offsetCode + matchBits + literalBits && offsetCode <= OFFSET_CODE_MAX, 'sequences are cut off');
        let offset = (1 << offsetCode) + bitsAt(from, (left -= offsetCode), offsetCode);
        const matchLength = MATCH_BASE[matchEntry & 255] + (matchBits === 0 ? 0 : bitsAt(from, (left -= matchBits), matchBits));
        const literalLength = LITERAL_BASE[literalEntry & 255] + (literalBits === 0 ? 0 : bitsAt(from, (left -= literalBits), literalBits));
        if (offset > 3) {
          offset -= 3;
          third = second;
          second = recent;
          recent = offset;
        } else {
          const which = literalLength === 0 ? offset : offset - 1;
          if (which > 0) {
            offset = which === 1 ? second : which === 2 ? third : recent - 1;
            if (which > 1) {
              third = second;
            }
            second = recent;
            recent = offset;
          } else {
            offset = recent;
          }
        }
        if (i < count - 1) {
          const a = (literalEntry >> 8) & 255;
          const b = (matchEntry >> 8) & 255;
          const c = (offsetEntry >> 8) & 255;
          check(left >= a + b + c, 'sequences are cut off');
          literalState = literalEntry >>> 16;
          left -= a;
          if (a + b + c <= 25) {
            left -= b + c;
            const bits = bitsAt(from, left, a + b + c);
            literalState += bits >>> (b + c);
            matchState = (matchEntry >>> 16) + ((bits >>> c) & ((1 << b) - 1));
            offsetState = (offsetEntry >>> 16) + (bits & ((1 << c) - 1));
          } else {
            literalState += bitsAt(from, left, a);
            matchState = (matchEntry >>> 16) + bitsAt(from, (left -= b), b);
            offsetState = (offsetEntry >>> 16) + bitsAt(from, (left -= c), c);
          }
        }
        check(literalLength <= literalCount - literal, 'there are too few literals');
        const match = at + literalLength;
        check(match + matchLength <= out.length, 'there is more than was said');
        check(offset > 0 && offset <= match, 'a match begins before the output');
        if (literalLength > LONG) {
          out.set(literals.subarray(literal, literal + literalLength), at);
          at = match;
          literal += literalLength;
        } else {
          while (at < match) {
            out[at++] = literals[literal++];
          }
        }
        const stop = at + matchLength;
        if (matchLength > LONG) {
          // What overlaps itself repeats: what is there already is so much longer each time.
          const first = at - offset;
          while (at < stop) {
            const length = Math.min(at - first, stop - at);
            out.copyWithin(at, first, first + length);
            at += length;
          }
        } else {
          while (at < stop) {
            out[at] = out[at - offset];
            at++;
          }
        }
      }
      check(left === 0, 'sequences are too long');
      this.offsets = [recent, second, third];
    } else {
      check(from === end, 'sequences are too long');
    }
    const rest = literalCount - literal;
    check(rest <= out.length - at, 'there is more than was said');
    out.set(literals.subarray(literal, literalCount), at);
    check(at + rest - this.length <= BLOCK_MAX, 'a block is too long');
    this.length = at + rest;
  }

  /**
   * Reads one of the three tables, or takes that of before, §3.1.1.3.2.1.
   * @param {number} which
   * @param {number} mode
   * @param {number} from
   * @param {number} end
   * @param {number} logMax
   * @param {number} symbolMax
   * @param {FseTable} predefined
   * @returns {number} where it ends
   */
  table(which, mode, from, end, logMax, symbolMax, predefined) {
    if (mode === 0) {
      this.tables[which] = predefined;
    } else if (mode === 1) {
      check(from < end && input[from] <= symbolMax, 'a code is unknown');
      this.tables[which] = { log: 0, states: Int32Array.of(input[from]) };
      return from + 1;
    } else if (mode === 2) {
      const read = readFseTable(from, end, logMax, symbolMax);
      this.tables[which] = read.table;
      return read.end;
    }
    return from;
  }
}

/**
 * Decompresses one frame that states its content's size and has neither checksum nor dictionary.
 * @param {Uint8Array} frame without its magic number
 * @param {number} lengthMax of what comes out
 * @returns {Bytes} until the next call
 * @throws {RangeError} if it is malformed, or longer
 */
export function decompress(frame, lengthMax) {
  const end = frame.length;
  if (input.length < end + 8) {
    input = new Uint8Array(end + 8);
    words = new DataView(input.buffer);
  }
  input.set(frame);
  input.fill(0, end, end + 8);
  // §3.1.1.1
  check(end > 2, 'a frame is cut off');
  const single = (input[0] & 0x20) !== 0;
  check((input[0] & 0x0f) === 0, 'a frame has a checksum, a dictionary or a reserved bit');
  const sizeBytes = input[0] >> 6 === 0 ? (single ? 1 : 0) : 1 << (input[0] >> 6);
  check(sizeBytes > 0 && sizeBytes <= 4, 'a frame does not say how long it becomes');
  let at = single ? 1 : 2;
  let size = sizeBytes === 2 ? 256 : 0;
  for (let i = 0; i < sizeBytes; i++) {
    size += input[at++] * 2 ** (8 * i);
  }
  check(size <= lengthMax, 'there is more than may be');
  if (output.length < size) {
    output = new Uint8Array(size);
  }
  const result = new Frame(output.subarray(0, size));
  let last = false;
  while (!last) {
    check(at + 3 <= end, 'a block is cut off');
    const head = input[at] | (input[at + 1] << 8) | (input[at + 2] << 16);
    at += 3;
    last = (head & 1) !== 0;
    const type = (head >> 1) & 3;
    const length = head >> 3;
    check(type < 3 && length <= BLOCK_MAX && at + (type === 1 ? 1 : length) <= end, 'a block is cut off');
    if (type === 2) {
      result.block(at, at + length);
      at += length;
    } else {
      check(length <= size - result.length, 'there is more than was said');
      if (type === 0) {
        result.out.set(input.subarray(at, at + length), result.length);
        at += length;
      } else {
        result.out.fill(input[at++], result.length, result.length + length);
      }
      result.length += length;
    }
  }
  check(at === end && result.length === size, 'a frame is not as long as it says');
  return result.out;
}
