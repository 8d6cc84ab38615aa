import type { TargetedFocusEvent, TargetedKeyboardEvent } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Chevron } from '../../icons.tsx';

interface MenuButtonProps<T extends string> {
  readonly title: string;
  /** The whole purpose, for screen readers; begins with the title. */
  readonly label: string;
  readonly entries: readonly { readonly id: T; readonly title: string }[];
  onChoose(id: T): void;
}

/** A button that opens a menu (WAI-ARIA Authoring Practices, menu button pattern). */
export function MenuButton<T extends string>({ title, label, entries, onChoose }: MenuButtonProps<T>) {
  const [open, setOpen] = useState<'first' | 'last' | undefined>(undefined);
  const id = useId();
  const whole = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    if (open === undefined) return;
    const entry = open === 'first' ? menu.current?.firstElementChild : menu.current?.lastElementChild;
    if (entry instanceof HTMLElement) entry.focus();
  }, [open]);

  function close() {
    setOpen(undefined);
    button.current?.focus();
  }

  function onButtonKeyDown(event: TargetedKeyboardEvent<HTMLButtonElement>) {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    event.preventDefault();
    setOpen(event.key === 'ArrowDown' ? 'first' : 'last');
  }

  function onMenuKeyDown(event: TargetedKeyboardEvent<HTMLDivElement>) {
    if (event.key === 'Escape') {
      event.preventDefault();
      close();
      return;
    }
    const items = [...event.currentTarget.querySelectorAll<HTMLElement>('[role=menuitem]')];
    const current = items.findIndex((item) => item.matches(':focus'));
    const target = targetOf(event.key, items, current);
    if (target === undefined) return;
    event.preventDefault();
    target.focus();
  }

  function onFocusOut({ relatedTarget }: TargetedFocusEvent<HTMLDivElement>) {
    if (!(relatedTarget instanceof Node && whole.current?.contains(relatedTarget))) setOpen(undefined);
  }

  return (
    <div class="menu-button" ref={whole} onFocusOut={onFocusOut}>
      <button
        type="button"
        class="button small"
        ref={button}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open !== undefined}
        aria-controls={open === undefined ? undefined : id}
        onClick={() => (open === undefined ? setOpen('first') : close())}
        onKeyDown={onButtonKeyDown}
      >
        {title}
        <Chevron />
      </button>
      {open !== undefined && (
        <div
          class="menu"
          role="menu"
          id={id}
          aria-label={label}
          tabIndex={-1}
          ref={menu}
          onKeyDown={onMenuKeyDown}
        >
          {entries.map((entry) => (
            <button
              key={entry.id}
              type="button"
              role="menuitem"
              class="menu-item"
              tabIndex={-1}
              onPointerEnter={(event) => event.currentTarget.focus()}
              onClick={() => {
                close();
                onChoose(entry.id);
              }}
            >
              {entry.title}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function targetOf(key: string, items: readonly HTMLElement[], current: number): HTMLElement | undefined {
  switch (key) {
    case 'ArrowDown':
      return items[(current + 1) % items.length];
    case 'ArrowUp':
      return items.at(current <= 0 ? -1 : current - 1);
    case 'Home':
      return items[0];
    case 'End':
      return items.at(-1);
    default: {
      if (key.length !== 1 || key === ' ') return undefined;
      const after = [...items.slice(current + 1), ...items.slice(0, current + 1)];
      return after.find((item) => item.textContent?.toLowerCase().startsWith(key.toLowerCase()));
    }
  }
}
