/** How this machine reaches the network, where the operating system or a person has set more than variables. */
export interface Network {
  /**
   * The proxy for a URL as the system has it now: `http:`, `https:` or `socks5:` and an authority; `undefined`: direct.
   * Never asked for loopback.
   */
  proxyFor(url: string): Promise<string | undefined>;
  /** PEM certificates the system trusts beside Node's own list. Asked for when the first TLS connection is made. */
  certificateAuthorities(): Promise<readonly string[]>;
}
