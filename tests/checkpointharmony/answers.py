"""How Check Point gives its reasons, for the table of what the world answers."""

from tests.words.world import Api

API = Api(
    error=lambda reason, _: {"success": False, "message": reason},
    login=lambda reason, _: {"success": False, "message": reason},
    token={"success": True, "data": {"token": "t", "expiresIn": 1800}},
)
