import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import plist from 'plist';

const HELPERS = ['', ' (GPU)', ' (Plugin)', ' (Renderer)'];
const LANGUAGES = ['de', 'en', 'fr'];
/** By this Electron's program marks the place of its fuses, and tools find it; then version, number, and one each. */
const SENTINEL = 'dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX';
/** What a stock Electron has, in the order of `FuseV1Options`. */
const STOCK_FUSES = '10110001';

/**
 * Makes the folders and files of an Electron.app for macOS that packaging tools look at, without any program in it.
 * @param folder where Electron.app goes
 */
export async function writeElectronSkeleton(folder: string): Promise<void> {
  const contents = path.join(folder, 'Electron.app', 'Contents');
  const frameworks = path.join(contents, 'Frameworks');
  await writeBundle(contents, 'Electron', {
    CFBundleIconFile: 'electron.icns',
    LSMinimumSystemVersion: '13.0',
    NSPrincipalClass: 'AtomApplication',
    // As Electron has them: the packaged app shall not.
    NSAppTransportSecurity: { NSAllowsArbitraryLoads: true },
    NSCameraUsageDescription: 'This app needs access to the camera',
    NSMicrophoneUsageDescription: 'This app needs access to the microphone',
    NSAudioCaptureUsageDescription: 'This app needs access to audio capture',
    NSBluetoothAlwaysUsageDescription: 'This app needs access to Bluetooth',
    NSBluetoothPeripheralUsageDescription: 'This app needs access to Bluetooth',
  });
  for (const helper of HELPERS) {
    const name = `Electron Helper${helper}`;
    await writeBundle(path.join(frameworks, `${name}.app`, 'Contents'), name, { LSUIElement: true });
  }
  await writeLanguages(path.join(contents, 'Resources'));
  await writeFile(path.join(contents, 'Resources', 'electron.icns'), '');
  await writeFramework(path.join(frameworks, 'Electron Framework.framework'));
}

async function writeBundle(contents: string, name: string, more: plist.PlistObject): Promise<void> {
  await mkdir(path.join(contents, 'MacOS'), { recursive: true });
  await writeFile(path.join(contents, 'MacOS', name), '', { mode: 0o755 });
  const info = {
    CFBundleDisplayName: name,
    CFBundleExecutable: name,
    CFBundleIdentifier: 'com.github.Electron',
    CFBundleName: name,
    CFBundlePackageType: 'APPL',
    ...more,
  };
  await writeFile(path.join(contents, 'Info.plist'), plist.build(info));
}

async function writeFramework(folder: string): Promise<void> {
  const version = path.join(folder, 'Versions', 'A');
  await writeLanguages(path.join(version, 'Resources'));
  const fuses = Buffer.concat([
    Buffer.from(SENTINEL),
    Buffer.from([1, STOCK_FUSES.length]),
    Buffer.from(STOCK_FUSES),
  ]);
  await writeFile(
    path.join(version, 'Electron Framework'),
    Buffer.concat([Buffer.alloc(64), fuses, Buffer.alloc(64)]),
  );
  await symlink('A', path.join(folder, 'Versions', 'Current'));
  for (const name of ['Electron Framework', 'Resources']) {
    await symlink(`Versions/Current/${name}`, path.join(folder, name));
  }
}

async function writeLanguages(resources: string): Promise<void> {
  for (const language of LANGUAGES) {
    const folder = path.join(resources, `${language}.lproj`);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'locale.pak'), '');
  }
}
