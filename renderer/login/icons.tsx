import type { ComponentChildren } from 'preact';

/** For eyes only: words beside it say the same. */
function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.75"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export function Lock() {
  return (
    <Icon>
      <rect x="4" y="8.75" width="12" height="8" rx="2" />
      <path d="M6.75 8.75V6.25a3.25 3.25 0 0 1 6.5 0v2.5" />
    </Icon>
  );
}

export function OpenLock() {
  return (
    <Icon>
      <rect x="4" y="8.75" width="12" height="8" rx="2" />
      <path d="M6.75 8.75V6a3.25 3.25 0 0 1 6.3-1.1" />
    </Icon>
  );
}

/** A triangle with an exclamation mark. */
export function Warning() {
  return (
    <Icon>
      <path d="M8.7 3.5 2.3 14.6A1.5 1.5 0 0 0 3.6 16.85h12.8a1.5 1.5 0 0 0 1.3-2.25L11.3 3.5a1.5 1.5 0 0 0-2.6 0Z" />
      <path d="M10 7.75v3.5M10 14h.01" />
    </Icon>
  );
}
