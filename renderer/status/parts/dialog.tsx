import type { ComponentChildren } from 'preact';
import { useContext, useId, useLayoutEffect, useRef } from 'preact/hooks';
import { Failure, SaidContext } from './messages.tsx';

interface DialogProps {
  readonly title: string;
  /** A question that must be answered before anything else. */
  readonly alert?: boolean;
  onClose(): void;
  readonly children: ComponentChildren;
}

/**
 * A modal dialog, open as long as it is there. The browser holds the focus inside and gives it back; Escape closes.
 * What has `autofocus` gets the focus.
 */
export function Dialog({ title, alert = false, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const { forgetFailure } = useContext(SaidContext);

  useLayoutEffect(() => {
    // What failed before has nothing to do with this.
    forgetFailure();
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);

  return (
    <dialog
      class={alert ? 'dialog narrow' : 'dialog'}
      ref={dialog}
      role={alert ? 'alertdialog' : undefined}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 class="dialog-title" id={heading}>
        {title}
      </h2>
      <Failure />
      {children}
    </dialog>
  );
}
