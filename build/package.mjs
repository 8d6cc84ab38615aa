// @ts-check
// `npm run package`: stages the app and has electron-builder make packages of it, for this system unless told otherwise.
// Arguments go on to electron-builder, such as `-- --linux dir`.
import { spawn } from 'node:child_process';
import { builderCommand, canSign, RELEASE } from './builder.mjs';
import { ROOT } from './process.mjs';
import { stageApp } from './stage.mjs';

if (process.platform === 'darwin' && !canSign(process.env)) {
  console.log(
    'Neither CSC_LINK nor CSC_NAME is set: the app is signed for this machine only and not notarised.',
  );
}
try {
  await stageApp(RELEASE);
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exit(1);
}
const builder = spawn(process.execPath, builderCommand(process.argv.slice(2)), {
  cwd: ROOT,
  stdio: 'inherit',
});
builder.on('exit', (code) => process.exit(code ?? 1));
