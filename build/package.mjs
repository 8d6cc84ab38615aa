// @ts-check
// `npm run package`: stages the app and has electron-builder make packages of it, for this system unless told otherwise.
// Arguments go on to electron-builder, such as `-- --linux dir`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builderCommand, builderEnvironment, canSign, RELEASE } from './builder.mjs';
import { ROOT } from './process.mjs';
import { billOfMaterials } from './sbom.mjs';
import { stageApp } from './stage.mjs';

if (process.platform === 'darwin' && !canSign(process.env)) {
  console.log('Neither CSC_LINK nor CSC_NAME is set: the app is signed by nobody, and not notarised.');
}
try {
  const packages = await stageApp(RELEASE);
  const bom = await billOfMaterials(packages);
  await writeFile(join(RELEASE, 'sbom.cdx.json'), `${JSON.stringify(bom, undefined, 2)}\n`);
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exit(1);
}
const builder = spawn(process.execPath, builderCommand(process.argv.slice(2)), {
  cwd: ROOT,
  env: builderEnvironment(process.env),
  stdio: 'inherit',
});
const [code] = await once(builder, 'exit');
process.exit(code ?? 1);
