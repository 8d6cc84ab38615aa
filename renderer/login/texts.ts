/** Every English text of the login window's bar, but for the trouble that the main process tells. */
export const texts = {
  logInTo: (server: string) => `Log in to ${server}`,
  secure: 'Encrypted connection to',
  onThisComputer: 'Unencrypted, on this computer:',
  opening: (server: string) => `Opening the login page of ${server} …`,
  openingExplained: 'This takes a few seconds when its server is asked for the first time.',
  loading: 'The page is loading',
  notOpened: 'The login page did not open',
  useBrowser: 'Use my browser instead',
  useBrowserExplained:
    'Go on with this login in your own browser. F6 switches between this bar and the page.',
  tryAgain: 'Try again',
  noAnswer: 'MCP Auth Proxy did not answer. Close this window and log in again.',
};
