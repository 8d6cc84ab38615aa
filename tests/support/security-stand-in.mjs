// A strict stand-in for macOS `security` with the subcommands the Keychain store uses. It keeps what Apple's published
// sources do (SecurityTool: security.c, readline.c, keychain_find.c), including what bites: lines cut at 4095 bytes, the
// rest taken for the next line, a last line without newline dropped, the exit code of the last line alone.
//
// Environment:
//   STAND_IN_FOLDER  holds items.json (service -> account -> secret as base64), faults.json and calls.log
//
// faults.json is an array of { on, account?, times?, exit?, hang?, pretend? }, the first that fits is used up `times`
// times (default: always): `exit` fails with that code, `hang` never ends, `pretend` reports success and does nothing.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const MAX_LINE_LEN = 4096;
const MAX_ARGS = 32;
const NOT_FOUND = 44;
const DUPLICATE = 45;
const MISUSE = 99;

const folder = process.env.STAND_IN_FOLDER ?? '';
const log = (entry) =>
  appendFileSync(join(folder, 'calls.log'), `${JSON.stringify({ pid: process.pid, ...entry })}\n`);

function misuse(reason) {
  log({ misuse: reason });
  process.stderr.write(`security stand-in: ${reason}\n`);
  return process.exit(MISUSE);
}

function readJson(name, fallback) {
  const file = join(folder, name);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : fallback;
}

function writeJson(name, value) {
  const file = join(folder, name);
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(value));
  renameSync(`${file}.${process.pid}`, file);
}

/** The real Keychain serializes its clients; here a folder does. */
function exclusively(task) {
  const lock = join(folder, 'stand-in.lock');
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      Atomics.wait(pause, 0, 0, 2);
    }
  }
  try {
    return task();
  } finally {
    rmdirSync(lock);
  }
}

function takeFault(command, account) {
  return exclusively(() => {
    const faults = readJson('faults.json', []);
    const fits = (fault) =>
      fault.on === command && (fault.account ?? account) === account && (fault.times ?? 1) > 0;
    const fault = faults.find(fits);
    if (fault?.times !== undefined) {
      fault.times--;
      writeJson('faults.json', faults);
    }
    return fault;
  });
}

/** getopt(3): options in `flags` stand alone, others take the rest of the word or the next word. */
function getopt(words, flags, valued) {
  const options = {};
  const queue = [...words];
  while (queue.length > 0 && /^-./.test(queue[0])) {
    const word = queue.shift();
    if (word === '--') break;
    for (let at = 1; at < word.length; at++) {
      const letter = word[at];
      if (flags.includes(letter)) {
        options[letter] = true;
      } else if (valued.includes(letter)) {
        const rest = word.slice(at + 1);
        options[letter] = rest !== '' ? rest : queue.shift();
        if (options[letter] === undefined)
          return letter === 'w' ? misuse('-w without a value prompts') : undefined;
        break;
      } else {
        return undefined;
      }
    }
  }
  return queue.length > 0 ? undefined : options;
}

const isPrintable = (bytes) => bytes.every((byte) => byte >= 0x20 && byte < 0x7f);

function printItem(service, account) {
  process.stdout.write(
    `keychain: "login.keychain-db"\nclass: "genp"\nattributes:\n    "acct"<blob>="${account}"\n    "svce"<blob>="${service}"\n`,
  );
}

function withFault(name, options, task) {
  const fault = takeFault(name, options.a);
  if (fault?.hang) return hang();
  if (fault?.exit !== undefined) {
    process.stderr.write(`security: injected fault ${fault.exit}\n`);
    return fault.exit;
  }
  return fault?.pretend ? 0 : task();
}

function hang() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** Without -a any account's item fits. */
function firstAccount(service) {
  return Object.keys(readJson('items.json', {})[service] ?? {})[0];
}

const commands = {
  'add-generic-password'(words) {
    const options = getopt(words, 'UA', 'acCDGjlpsTwX');
    if (options === undefined) return 2;
    return withFault('add-generic-password', options, () =>
      exclusively(() => {
        const items = readJson('items.json', {});
        items[options.s] ??= {};
        const own = items[options.s];
        if (own[options.a] !== undefined && options.U !== true) return DUPLICATE;
        // Without -w an empty secret is stored, as the original does.
        own[options.a] = Buffer.from(options.w ?? '', 'latin1').toString('base64');
        writeJson('items.json', items);
        return 0;
      }),
    );
  },
  'find-generic-password'(words) {
    const options = getopt(words, 'gw', 'acCDGjls');
    if (options === undefined) return 2;
    options.a ??= firstAccount(options.s);
    return withFault('find-generic-password', options, () => {
      const secret = readJson('items.json', {})[options.s]?.[options.a];
      if (secret === undefined) {
        process.stderr.write(
          'security: SecKeychainSearchCopyNext: The specified item could not be found in the keychain.\n',
        );
        return NOT_FOUND;
      }
      if (options.w !== true) {
        printItem(options.s, options.a);
        return 0;
      }
      const bytes = Buffer.from(secret, 'base64');
      process.stdout.write(`${isPrintable(bytes) ? bytes.toString('latin1') : bytes.toString('hex')}\n`);
      return 0;
    });
  },
  'delete-generic-password'(words) {
    const options = getopt(words, '', 'acCDGjls');
    if (options === undefined) return 2;
    options.a ??= firstAccount(options.s);
    const code = withFault('delete-generic-password', options, () =>
      exclusively(() => {
        const items = readJson('items.json', {});
        if (items[options.s]?.[options.a] === undefined) return NOT_FOUND;
        printItem(options.s, options.a);
        delete items[options.s][options.a];
        writeJson('items.json', items);
        return 0;
      }),
    );
    if (code === 0) process.stderr.write('password has been deleted.\n');
    return code;
  },
};

function execute(words) {
  if (words.length === 0) return 0;
  const [given, ...rest] = words;
  const name = Object.keys(commands).find((each) => each.startsWith(given));
  if (name === undefined) {
    process.stderr.write(`security: unknown command "${given}"\n`);
    return 1;
  }
  const code = commands[name](rest);
  if (code === 2) process.stderr.write(`Usage: ${name} ...\n`);
  return code;
}

/** One word after the other: white space splits, both quotes quote, a backslash escapes everywhere. */
function splitLine(line) {
  const words = [];
  let word = '';
  let state = 'space';
  let quote = '';
  for (const char of line) {
    if (char === '\0') break;
    if (state === 'space') {
      if (/\s/.test(char)) continue;
      word = '';
      if (char === '"' || char === "'") {
        quote = char;
        state = 'quoted';
        continue;
      }
      state = 'plain';
    }
    if (state.endsWith('-escaped')) {
      word += char;
      state = state.slice(0, -'-escaped'.length);
    } else if (char === '\\') {
      state += '-escaped';
    } else if (state === 'plain' ? /\s/.test(char) : char === quote) {
      words.push(word);
      state = 'space';
      if (words.length >= MAX_ARGS) break;
    } else {
      word += char;
    }
  }
  if (state !== 'space') words.push(word);
  return words;
}

/** readline.c: at most 4095 bytes, without the newline; what follows is the next line; no newline before the end: no line. */
function* lines(input) {
  let at = 0;
  for (;;) {
    const limit = at + MAX_LINE_LEN - 1;
    const newline = input.indexOf('\n', at);
    if (newline !== -1 && newline < limit) {
      yield input.slice(at, newline);
      at = newline + 1;
    } else if (input.length >= limit) {
      yield input.slice(at, limit);
      at = limit;
    } else {
      return;
    }
  }
}

function interactive() {
  let result = 0;
  for (const line of lines(readFileSync(0, 'latin1'))) {
    const words = splitLine(line);
    result = execute(words);
    if (result !== 0) process.stderr.write(`security: ${words[0]}: returned ${result}\n`);
  }
  return result;
}

const args = process.argv.slice(2);
if (/^a/.test(args[0] ?? '') || args.some((arg) => /^v1[:-]/.test(arg))) misuse('a secret in the arguments');
log({ start: process.hrtime.bigint().toString(), args });
const code =
  args[0] === '-i'
    ? interactive()
    : args.length === 0
      ? 2
      : execute(args.map((arg) => Buffer.from(arg, 'utf8').toString('latin1')));
log({ end: process.hrtime.bigint().toString() });
process.exitCode = code;
