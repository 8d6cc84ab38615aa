/**
 * The user agent of the Chromium inside, without the names of this app and of Electron: servers that sort browsers by
 * them take an unknown name for an old or a broken browser. The version is cut as Chrome cuts its own.
 */
export function browserUserAgent(userAgent: string): string {
  return userAgent
    .split(/ (?![^(]*\))/)
    .filter((token) => token.startsWith('(') || /^(?:Mozilla|AppleWebKit|Chrome|Safari)\//.test(token))
    .map((token) => token.replace(/^Chrome\/(\d+)\..*$/, 'Chrome/$1.0.0.0'))
    .join(' ');
}
