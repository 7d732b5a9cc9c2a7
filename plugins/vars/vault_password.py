"""Say which encrypted file cannot be read and what to do, where Ansible would say only that decryption failed."""

from __future__ import annotations

from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.vault import AnsibleVaultError, VaultLib, is_encrypted
from ansible.plugins.vars import BaseVarsPlugin

DOCUMENTATION = r"""
name: vault_password
short_description: A clear word about a vault without its password
description:
  - Sets no variable. Runs before the files in group_vars and host_vars are loaded, and stops with the name of an
    encrypted one that none of the run's vault passwords opens.
"""

# What scripts/vault-password answers where no password was chosen yet.
NO_PASSWORD = b"slipway-has-no-vault-password-yet"


class VarsModule(BaseVarsPlugin):
    """See DOCUMENTATION."""

    REQUIRES_ENABLED = True
    # One instance is used for all. Otherwise its documentation would be read again for each task of each machine.
    is_stateless = True
    _seen: set[Path] = set()

    def get_vars(self, loader, path, entities, cache=True):
        """Return no variables; AnsibleError where a file of these hosts or groups cannot be decrypted."""
        super().get_vars(loader, path, entities)
        for entity in entities if isinstance(entities, list) else [entities]:
            for kind in ("group_vars", "host_vars"):
                stem = Path(self._basedir) / kind / entity.name
                # Once, as Ansible itself: a vault that this very run makes is no vault whose password is missing.
                if stem in self._seen:
                    continue
                self._seen.add(stem)
                files = (
                    sorted(stem.rglob("*"))
                    if stem.is_dir()
                    else [stem, stem.with_suffix(".yml"), stem.with_suffix(".yaml")]
                )
                for file in files:
                    self._check(loader, file)
        return {}

    def _check(self, loader, file: Path) -> None:
        if not file.is_file():
            return
        with open(file, "rb") as handle:
            if not is_encrypted(handle.read(64)):
                return
        secrets = [pair for pair in loader._vault.secrets or [] if pair[1].bytes.strip() != NO_PASSWORD]
        if not secrets:
            raise AnsibleError(
                f"{file} is encrypted, and this run has no vault password; no machine was touched. Expected: the"
                " password on one line in .vault-password beside ansible.cfg (mode 0600), or"
                " --vault-password-file FILE, or --ask-vault-pass. If it is lost: docs/runbooks/lost-vault-password.md."
            )
        try:
            VaultLib(secrets).decrypt(file.read_bytes())
        except AnsibleVaultError as error:
            raise AnsibleError(
                f"{file} was encrypted with another vault password than this run's; no machine was touched."
                " Expected: the password that it was made with, in .vault-password beside ansible.cfg"
                " or by --vault-password-file FILE."
            ) from error
