"""Growth of costs."""

from speed import scaling
from speed.training_step import FullStep


def test_banks_that_grow_are_full(moco):
    full = scaling._with_full_banks(FullStep(moco._replace(strategy="cmc_bank"), 1, {"capacity": 5000}))
    assert full.strategy.model.bank.n_written == 5000


def test_every_table_has_a_value_per_row(moco):
    for table in scaling.growth_tables(moco):
        assert len(table.rows) == len(table.values) and sorted(table.values) == list(table.values)
        for _, case, settings in table.rows:
            case.recipe(settings)
