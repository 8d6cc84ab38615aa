// Loaded into a child process with `node --import`, before the program: lets calls to the system fail, or ends the process
// at one of them, as a plan says. The program itself knows nothing of it. The plan may change while the program runs.
//
// Environment:
//   FAULT_PLAN  path of a JSON file with an array of { call, path?, effect, code? }:
//     call    name of a function of node:fs (with a callback, or as a promise), or `lookup` of node:dns
//     path    a regular expression for the first argument; without it every call is meant
//     effect  `fail` with `code`; `kill`: the process dies before the call; `kill after`: when it is done; `kill halfway`:
//             after half of what was to be written; `answer`, for `lookup` alone: with the address in `code`
import dns from 'node:dns';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { readFileSync, writeSync } = fs;
const CALLS = ['mkdir', 'open', 'write', 'fsync', 'rename', 'unlink', 'utimes'];

function faultOf(call, [first]) {
  const plan = JSON.parse(readFileSync(process.env.FAULT_PLAN, 'utf8'));
  const fits = (fault) =>
    fault.call === call && (fault.path === undefined || new RegExp(fault.path).test(String(first)));
  return plan.find(fits);
}

function die() {
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function failure({ code }, call, path) {
  return Object.assign(new Error(`${code}: injected, ${call} '${path}'`), { code, syscall: call, path });
}

/** What becomes of a call before it is made: an error, or nothing. */
function before(fault, call, args) {
  if (fault?.effect === 'kill') die();
  if (fault?.effect === 'kill halfway') {
    const [fd, data] = args;
    const bytes = Buffer.from(data);
    writeSync(fd, bytes, 0, Math.floor(bytes.length / 2));
    die();
  }
  return fault?.effect === 'fail' ? failure(fault, call, args[0]) : undefined;
}

for (const call of CALLS) {
  const withCallback = fs[call];
  fs[call] = (...args) => {
    const callback = args.pop();
    const fault = faultOf(call, args);
    const error = before(fault, call, args);
    if (error) process.nextTick(callback, error);
    else if (fault?.effect === 'kill after') withCallback(...args, die);
    else withCallback(...args, callback);
  };
  const asPromise = fs.promises[call];
  if (!asPromise) continue;
  fs.promises[call] = async (...args) => {
    const fault = faultOf(call, args);
    const error = before(fault, call, args);
    if (error) throw error;
    const result = await asPromise(...args);
    if (fault?.effect === 'kill after') die();
    return result;
  };
}

const { lookup } = dns;
dns.lookup = (name, ...rest) => {
  const callback = rest.pop();
  const [options = {}] = rest;
  const fault = faultOf('lookup', [name]);
  if (fault?.effect === 'fail') process.nextTick(callback, failure(fault, 'getaddrinfo', name));
  else if (fault?.effect !== 'answer') lookup(name, options, callback);
  else if (options.all) process.nextTick(callback, null, [{ address: fault.code, family: 4 }]);
  else process.nextTick(callback, null, fault.code, 4);
};

syncBuiltinESMExports();
