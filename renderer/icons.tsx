import type { ComponentChildren } from 'preact';

/** How a state or an outcome looks: told apart by the icon's shape and by words, the colour only helps. */
export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'calm';

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg
      class="icon"
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

/** The mark of the product: a keyhole on the line between two ends. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 28 28" fill="none" aria-hidden="true">
      <path d="M1.5 14H5M23 14h3.5" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" />
      <path
        fill="currentColor"
        fill-rule="evenodd"
        d="M14 5.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM14 9.75a2.4 2.4 0 0 0-1.15 4.5V17.6a1.15 1.15 0 0 0 2.3 0v-3.35A2.4 2.4 0 0 0 14 9.75Z"
      />
    </svg>
  );
}

/** A tick in a full ring. */
export const Tick = () => (
  <Icon>
    <circle cx="10" cy="10" r="7.25" />
    <path d="m6.75 10.25 2.25 2.25 4.25-4.75" />
  </Icon>
);
/** A broken ring around three dots. */
export const Dots = () => (
  <Icon>
    <circle cx="10" cy="10" r="7.25" stroke-dasharray="3.2 2.5" />
    <path d="M6.9 10h.01M10 10h.01M13.1 10h.01" stroke-width="2" />
  </Icon>
);
/** A triangle with an exclamation mark. */
export const Warning = () => (
  <Icon>
    <path d="M8.7 3.5 2.3 14.6A1.5 1.5 0 0 0 3.6 16.85h12.8a1.5 1.5 0 0 0 1.3-2.25L11.3 3.5a1.5 1.5 0 0 0-2.6 0Z" />
    <path d="M10 7.75v3.5M10 14h.01" />
  </Icon>
);
/** A cross in an octagon. */
export const Cross = () => (
  <Icon>
    <path d="M7 2.75h6L17.25 7v6L13 17.25H7L2.75 13V7Z" />
    <path d="m7.75 7.75 4.5 4.5M12.25 7.75l-4.5 4.5" />
  </Icon>
);
/** A closed padlock. */
export const Lock = () => (
  <Icon>
    <rect x="4" y="8.75" width="12" height="8" rx="2" />
    <path d="M6.75 8.75V6.25a3.25 3.25 0 0 1 6.5 0v2.5" />
  </Icon>
);
/** An open padlock. */
export const OpenLock = () => (
  <Icon>
    <rect x="4" y="8.75" width="12" height="8" rx="2" />
    <path d="M6.75 8.75V6a3.25 3.25 0 0 1 6.3-1.1" />
  </Icon>
);
/** A cloud struck through. */
export const Offline = () => (
  <Icon>
    <path d="M6.2 7.1A4.6 4.6 0 0 1 14.4 8.6 3.6 3.6 0 0 1 16.6 14.6M13.5 15.75H6a3.75 3.75 0 0 1-1.2-7.3M3 3l14 14" />
  </Icon>
);
/** An arrow that points up, in a ring. */
export const Newer = () => (
  <Icon>
    <circle cx="10" cy="10" r="7.25" />
    <path d="M10 13.75v-7M7 9.5l3-3 3 3" />
  </Icon>
);
/** An arrow that leaves, straight on. */
export const Passed = () => (
  <Icon>
    <path d="M3 10h13M11.5 5.5 16 10l-4.5 4.5" />
  </Icon>
);
/** A ring struck through. */
export const Refused = () => (
  <Icon>
    <circle cx="10" cy="10" r="7.25" />
    <path d="m5 5 10 10" />
  </Icon>
);
export const Plus = () => (
  <Icon>
    <path d="M10 4v12M4 10h12" />
  </Icon>
);
export const Copy = () => (
  <Icon>
    <rect x="7" y="7" width="9.5" height="9.5" rx="2" />
    <path d="M13 4.9A2 2 0 0 0 11 3.5H5.5a2 2 0 0 0-2 2V11a2 2 0 0 0 1.4 1.9" />
  </Icon>
);
export const Chevron = () => (
  <Icon>
    <path d="m5.5 8 4.5 4.5L14.5 8" />
  </Icon>
);
export const Close = () => (
  <Icon>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
);
