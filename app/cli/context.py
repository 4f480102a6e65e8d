"""The context of a command: that of the process, with its two outputs and the acting user."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from app.access import Actor
from app.cli.ending import WrongUse
from app.context import Context

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

POLL_SECONDS = 0.5


class CommandContext(Context):
    """The context of this process, with standard output and standard error."""

    @cached_property
    def out(self) -> Terminal:
        """Standard output."""
        from app.cli.terminal import Terminal

        return Terminal()

    @cached_property
    def err(self) -> Terminal:
        """Standard error."""
        from app.cli.terminal import Terminal

        return Terminal(stderr=True)

    def actor(self, persona: str | None) -> Actor:
        """Who acts: the persona where one may be chosen, otherwise the token's user. Raises WrongUse."""
        from app.config.settings import IdentitySource

        if self.settings.identity is IdentitySource.PERSONA:
            if not persona:
                raise WrongUse("no user given: add --as USER (with CUTOVER_IDENTITY=persona every command needs one)")
            return Actor(persona, frozenset(), "persona", local=True)
        me = self.workspace.identity.me().user_name
        if persona and persona.casefold() != me.casefold():
            raise WrongUse(f"--as {persona}: you are {me}; a persona can be chosen only with CUTOVER_IDENTITY=persona")
        return Actor(me, frozenset(), "token")


context = CommandContext()
