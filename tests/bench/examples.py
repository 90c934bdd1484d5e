"""Records as the benchmarks write them, with numbers made up."""

ORIGIN = {"date": "2026-01-02", "machine": "a machine", "versions": {"Python": "3.11.0"}}

RECORDS = {
    "pace": ORIGIN
    | {
        "cores": 2,
        "agents": "untrained",
        "pairs": 1000,
        "large_pairs": 9000,
        "point_pairs": 50,
        "turns": {
            "hopper": [
                {
                    "paces": {
                        "physics limit": 99.0, "sampling": 90.0, "landscape": 75.0, "rollouts written": 3e8
                    },
                    "limits": {"sampling": 100.0, "landscape": 93.75},
                },
                {
                    "paces": {
                        "physics limit": 199.0, "sampling": 160.0, "landscape": 150.0, "rollouts written": 1e8
                    },
                    "limits": {"sampling": 200.0, "landscape": 187.5},
                },
                {
                    "paces": {
                        "physics limit": 149.0, "sampling": 30.0, "landscape": 111.0, "rollouts written": 1e8
                    },
                    "limits": {"sampling": 150.0, "landscape": 150.0},
                },
            ]
        },
    },
    "growth": ORIGIN
    | {
        "panels": {
            "pairs": {
                "sampling": [
                    {"size": 100, "seconds": 1.0, "memory": 300.0},
                    {"size": 1000, "seconds": 10.0, "memory": 300.0},
                ]
            }
        }
    },
    "dag": ORIGIN
    | {
        "sizes": [
            {"stages": 17, "nothing to do [s]": 1.5, "overhead of a job [s]": 0.5},
            {"stages": 1001, "nothing to do [s]": 3.5, "overhead of a job [s]": 1.0},
        ]
    },
    "stages": ORIGIN
    | {
        "cores": 2,
        "runs": 2,
        "last_run": {"jobs": 2, "seconds": 30.0, "busy": 0.75},
        "stages": {
            "sample": {
                "jobs": 3, "mean_seconds": 20.0, "longest_seconds": 30.0, "cpu_hours": 0.5, "memory": 2049.0
            },
        },
    },
    "schedule": ORIGIN
    | {
        "sets": {
            "small": {
                "jobs": 3, "core_seconds": 7200.0, "longest_chain": 3600.0, "runs": {"1": 7200.0, "4": 3600.0}
            },
        },
    },
}  # fmt: skip
RECORDS["first_edition"] = RECORDS["pace"]
