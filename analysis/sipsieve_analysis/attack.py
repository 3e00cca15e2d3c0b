"""What the intents are called in MITRE ATT&CK."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

#: The release whose ids are used.
ATTACK_VERSION: Final = "16.1"


class Intent(StrEnum):
    """What an actor wants."""

    REMOTE_CODE_EXECUTION = "remote_code_execution"
    CREDENTIAL_THEFT = "credential_theft"
    DATA_TAMPERING = "data_tampering"
    TOLL_FRAUD = "toll_fraud"
    DENIAL_OF_SERVICE = "denial_of_service"
    RECONNAISSANCE = "reconnaissance"


class Technique(NamedTuple):
    """An ATT&CK technique."""

    id: str
    name: str


T1190: Final = Technique("T1190", "Exploit Public-Facing Application")
T1059: Final = Technique("T1059", "Command and Scripting Interpreter")
T1059_004: Final = Technique("T1059.004", "Command and Scripting Interpreter: Unix Shell")
T1059_007: Final = Technique("T1059.007", "Command and Scripting Interpreter: JavaScript")
T1110_001: Final = Technique("T1110.001", "Brute Force: Password Guessing")
T1110_003: Final = Technique("T1110.003", "Brute Force: Password Spraying")
T1110_004: Final = Technique("T1110.004", "Brute Force: Credential Stuffing")
T1078: Final = Technique("T1078", "Valid Accounts")
T1212: Final = Technique("T1212", "Exploitation for Credential Access")
T1098: Final = Technique("T1098", "Account Manipulation")
T1565_001: Final = Technique("T1565.001", "Data Manipulation: Stored Data Manipulation")
T1496: Final = Technique("T1496", "Resource Hijacking")
T1498_001: Final = Technique("T1498.001", "Network Denial of Service: Direct Network Flood")
T1499_002: Final = Technique("T1499.002", "Endpoint Denial of Service: Service Exhaustion Flood")
T1499_004: Final = Technique("T1499.004", "Endpoint Denial of Service: Application or System Exploitation")
T1595_001: Final = Technique("T1595.001", "Active Scanning: Scanning IP Blocks")
T1595_002: Final = Technique("T1595.002", "Active Scanning: Vulnerability Scanning")
T1589_001: Final = Technique("T1589.001", "Gather Victim Identity Information: Credentials")
T1005: Final = Technique("T1005", "Data from Local System")
