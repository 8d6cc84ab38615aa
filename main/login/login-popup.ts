/** How a login window came to its end. */
export type LoginPopupResult =
  /** The provider has sent the person back; the URL holds a code and must not be shown. */
  | { readonly kind: 'redirected'; readonly url: URL }
  | { readonly kind: 'closed' }
  /** The person wants to go on in their browser. */
  | { readonly kind: 'browser' };

export interface LoginPopupOptions {
  /** Cookies of the provider are kept apart by it. */
  readonly serverId: string;
  /** What the person calls the server. */
  readonly server: string;
  readonly redirectUri: string;
  /** Whether the person has asked for it just now; else the window does not take the keyboard from what they do. */
  readonly asked: boolean;
}

/** A window with a provider's login page, on the screen as soon as it is made and closed by itself once it has a result. */
export interface LoginPopup {
  readonly result: Promise<LoginPopupResult>;
  /** Opens the page; until then the window says that it is being looked for. */
  load(authorizationUrl: URL): void;
  /** Brings the window to the front. */
  focus(): void;
  /** Closes the window; the result is `closed` if there was none. */
  close(): void;
}
